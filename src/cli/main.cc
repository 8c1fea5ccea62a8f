#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>

#include "cli/command.h"
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

/// Those of a block that comes from a file, as x does.
template <class Options>
void add_input_options(CLI::App& command, Options& options) {
  add_block_options(command, options);
  command.get_option("--weights")->required();
  command.add_option("--input", options.input, "safetensors file with x")->type_name("FILE")->required();
  command.add_option("--tensor", options.tensor, "name of x in a file of several tensors")->type_name("NAME");
}

void add_run(CLI::App& app, RunOptions& options) {
  CLI::App& run = *app.add_subcommand("run", "run an attention block on a feature map");
  add_input_options(run, options);
  add_precision_option(run, options);
  run.add_option("-o,--output", options.output, "safetensors file to write y to, as the tensor 'output'")
      ->type_name("FILE")
      ->required();
  CLI::Option* output_dtype = add_output_dtype_option(run, options.output_dtype);
  CLI::Option* reference = run.add_option("--reference", options.reference, "file with the y to compare with")
                               ->type_name("FILE");
  run.add_option("--reference-tensor", options.reference_tensor, "its name in a file of several tensors")
      ->type_name("NAME")
      ->needs(reference);
  CLI::Option* map =
      run.add_option("--attention-map", options.attention_map,
                     "write, in place of y, the softmax weights of this pixel (from 0) over its image: a picture of each head "
                     "if --output ends in .png, else the tensor 'attention' [heads, H, W]")
          ->type_name("ROW,COLUMN")
          ->excludes(reference)
          ->excludes(output_dtype);
  run.add_option("--attention-image", options.attention_image, "image of the batch that the pixel is in; default 0")
      ->type_name("N")
      ->check(whole_number())
      ->needs(map);
}

void add_plan(CLI::App& app, PlanCommandOptions& options) {
  CLI::App& plan = *app.add_subcommand("plan", "show the memory that a block needs, without running it");
  add_shaped_options(plan, options);
  plan.add_option("--svg", options.svg, "file to draw the memory map to")->type_name("FILE");
}

void add_bench(CLI::App& app, BenchOptions& options) {
  CLI::App& bench = *app.add_subcommand("bench", "time a block against the multiply-adds that the machine can do");
  add_shaped_options(bench, options);
  bench.add_option("--reps", options.reps, "timed runs; default: as many as take a second, at least 5")
      ->type_name("N")
      ->check(positive_count());
  bench.add_option("--svg", options.svg, "file to draw phases and speed to")->type_name("FILE");
}

void add_check(CLI::App& app, CheckOptions& options) {
  CLI::App& check = *app.add_subcommand("check", "tell what each precision costs in accuracy on a feature map, and its time");
  add_input_options(check, options);
  check.add_option("--budget", options.budget, "largest relative rms error allowed; fails unless bf16 or int8 stays within it")
      ->type_name("E")
      ->check(positive_number());
}

void add_fold(CLI::App& app, FoldOptions& options) {
  CLI::App& fold = *app.add_subcommand("fold", "fold a block's weights once, to half their size");
  add_weights_options(fold, options);
  fold.get_option("--weights")->required();
  fold.add_option("-o,--output", options.output, "safetensors file to write the folded weights to")
      ->type_name("FILE")
      ->required();
}

void add_inspect(CLI::App& app, InspectOptions& options) {
  CLI::App& inspect = *app.add_subcommand("inspect", "list a weights file's tensors and the attention blocks in it");
  inspect.add_option("WEIGHTS", options.weights, "safetensors file")->required();
  inspect.add_flag("--json", options.json, "print one JSON object");
}

int run_tool(int argc, char** argv) {
  RunOptions run;
  PlanCommandOptions plan;
  BenchOptions bench;
  CheckOptions check;
  FoldOptions fold;
  InspectOptions inspect;
  CLI::App app("Spatial attention blocks of diffusion UNets, all memory planned before the first run.", "edgeattn");
  app.set_version_flag("--version", "edgeattn " EDGEATTN_VERSION);
  app.require_subcommand(1);
  add_run(app, run);
  add_plan(app, plan);
  add_bench(app, bench);
  add_check(app, check);
  add_fold(app, fold);
  add_inspect(app, inspect);
  try {
    app.parse(argc, argv);
    if (app.got_subcommand("run")) {
      check_block_options(run);
      print(run.attention_map ? attention_map_command(run) : run_command(run));
    } else if (app.got_subcommand("plan")) {
      check_block_options(plan);
      print(plan_command(plan));
    } else if (app.got_subcommand("bench")) {
      check_block_options(bench);
      print(bench_command(bench));
    } else if (app.got_subcommand("check")) {
      check_block_options(check);
      print(check_command(check));
    } else if (app.got_subcommand("fold")) {
      check_block_options(fold);
      print(fold_command(fold));
    } else {
      print(inspect_command(inspect));
    }
  } catch (const CLI::Success& asked_for_help) {
    app.exit(asked_for_help);
    print("");
  } catch (const CLI::ParseError& error) {
    std::string help = "edgeattn ";
    for (const CLI::App* command : app.get_subcommands()) help += command->get_name() + " ";
    if (argc > 1 && argv[1][0] != '-' && app.get_subcommands().empty())
      return complain("'" + std::string(argv[1]) + "' is no command (see edgeattn --help)", kWrongCommandLine);
    return complain(std::string(error.what()) + " (see " + help + "--help)", kWrongCommandLine);
  }
  return 0;
}

}  // namespace
}  // namespace edgeattn::cli

int main(int argc, char** argv) {
  using namespace edgeattn::cli;
  // A reader that goes away then makes a write fail, which is reported as any other.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run_tool(argc, argv);
  } catch (const std::bad_alloc&) {
    return complain("out of memory", kFailed);
  } catch (const std::exception& error) {
    return complain(error.what(), kFailed);
  }
}
