#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <variant>

#include "cli/command_line.h"
#include "cli/failure.h"
#include "cli/places.h"
#include "cli/text.h"

namespace edgeattn::cli {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongCommandLine = 2;

int complain(const std::string& message, int exit_code) {
  std::fprintf(stderr, "edgeattn: %s\n", one_line(message).c_str());
  return exit_code;
}

void print(const std::string& text, std::FILE* stream) {
  const bool written = std::fputs(text.c_str(), stream) >= 0 && std::fflush(stream) == 0;
  if (!written) throw Failure(std::string("cannot write to standard ") + (stream == stdout ? "output" : "error"));
}

std::string execute(const RunOptions& options) {
  return options.attention_map ? attention_map_command(options) : run_command(options);
}
std::string execute(const PlanCommandOptions& options) { return plan_command(options); }
std::string execute(const BenchOptions& options) { return bench_command(options); }
std::string execute(const CheckOptions& options) { return check_command(options); }
std::string execute(const FoldOptions& options) { return fold_command(options); }
std::string execute(const InspectOptions& options) { return inspect_command(options); }

void carry_out(const Information& information) { print(information.text, stdout); }

/// The report goes to standard output, or, where that is the output, to standard error.
template <class Options>
void carry_out(const Options& options) {
  const Places places = places_of(options);
  check_places(places);
  const bool taken = places.output && is_standard_output(places.output->path);
  print(execute(options), taken ? stderr : stdout);
}

}  // namespace
}  // namespace edgeattn::cli

int main(int argc, char** argv) {
  using namespace edgeattn::cli;
  // A reader that goes away, and a limit on the size of files, then make a write fail, which is reported as any other.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    const Command command = parse_command_line(argc, argv);
    std::visit([](const auto& options) { carry_out(options); }, command);
  } catch (const WrongCommandLine& error) {
    return complain(error.what(), kWrongCommandLine);
  } catch (const std::bad_alloc&) {
    return complain("out of memory", kFailed);
  } catch (const std::exception& error) {
    return complain(error.what(), kFailed);
  }
  return 0;
}
