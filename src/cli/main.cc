#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <variant>

#include "cli/command_line.h"
#include "cli/failure.h"
#include "cli/text.h"

namespace edgeattn::cli {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongCommandLine = 2;

int complain(const std::string& message, int exit_code) {
  std::fprintf(stderr, "edgeattn: %s\n", one_line(message).c_str());
  return exit_code;
}

void print(const std::string& text) {
  const bool written = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
  if (!written) throw Failure("cannot write to standard output");
}

std::string execute(const Information& information) { return information.text; }
std::string execute(const RunOptions& options) {
  return options.attention_map ? attention_map_command(options) : run_command(options);
}
std::string execute(const PlanCommandOptions& options) { return plan_command(options); }
std::string execute(const BenchOptions& options) { return bench_command(options); }
std::string execute(const CheckOptions& options) { return check_command(options); }
std::string execute(const FoldOptions& options) { return fold_command(options); }
std::string execute(const InspectOptions& options) { return inspect_command(options); }

}  // namespace
}  // namespace edgeattn::cli

int main(int argc, char** argv) {
  using namespace edgeattn::cli;
  // A reader that goes away then makes a write fail, which is reported as any other.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    const Command command = parse_command_line(argc, argv);
    print(std::visit([](const auto& options) { return execute(options); }, command));
  } catch (const WrongCommandLine& error) {
    return complain(error.what(), kWrongCommandLine);
  } catch (const std::bad_alloc&) {
    return complain("out of memory", kFailed);
  } catch (const std::exception& error) {
    return complain(error.what(), kFailed);
  }
  return 0;
}
