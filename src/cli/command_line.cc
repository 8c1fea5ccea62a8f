#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <sstream>
#include <string_view>
#include <vector>

namespace edgeattn::cli {
namespace {

/// As `--output-dtype` spells it.
const char* to_string(io::Dtype dtype) {
  return dtype == io::Dtype::kF16 ? "f16" : dtype == io::Dtype::kBf16 ? "bf16" : "f32";
}

/// An option that is one of `choices`.
template <class Enum, class Value>
CLI::Option* add_choice(CLI::App& command, const std::string& name, Value& value, std::initializer_list<Enum> choices,
                        const std::string& description) {
  std::string names;
  for (Enum choice : choices) names.append(names.empty() ? "" : "|").append(to_string(choice));
  const auto set = [name, &value, choices = std::vector<Enum>(choices), names](const std::string& text) {
    const auto choice = std::find_if(choices.begin(), choices.end(), [&](Enum each) { return text == to_string(each); });
    if (choice == choices.end()) throw CLI::ValidationError(name + ": expected one of " + names + ", got '" + text + "'");
    value = *choice;
  };
  return command.add_option_function<std::string>(name, set, description)->type_name("TEXT:" + names);
}

/// `Count` decimal numbers, separated by commas and by nothing else; false if `text` is anything else.
template <std::size_t Count>
bool parse_numbers(std::string_view text, std::array<std::size_t, Count>& numbers) {
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::size_t i = 0; i < Count; ++i) {
    const auto [next, error] = std::from_chars(at, end, numbers[i]);
    if (error != std::errc()) return false;
    const bool last = i + 1 == Count;
    if (last ? next != end : next == end || *next != ',') return false;
    at = next + 1;
  }
  return true;
}

/// An option of `Count` numbers of at least `least`, separated by commas. `set` takes them.
template <std::size_t Count, class Set>
CLI::Option* add_numbers(CLI::App& command, const std::string& name, const std::string& form, std::size_t least, Set set,
                         const std::string& description) {
  const auto take = [=](const std::string& text) {
    std::array<std::size_t, Count> numbers{};
    bool valid = parse_numbers(text, numbers);
    for (std::size_t number : numbers) valid = valid && number >= least;
    const std::string expected = form + (least == 0 ? ", counted from 0" : ", each at least 1");
    if (!valid) throw CLI::ValidationError(name + ": expected " + expected + ", got '" + text + "'");
    set(numbers);
  };
  return command.add_option_function<std::string>(name, take, description)->type_name(form);
}

CLI::Validator whole_number() {
  const auto check = [](const std::string& text) {
    std::array<std::size_t, 1> number{};
    return parse_numbers(text, number) ? "" : "expected a whole number, got '" + text + "'";
  };
  return {check, ""};
}

CLI::Validator positive_count() {
  const auto check = [](const std::string& text) {
    std::array<std::size_t, 1> number{};
    const bool valid = parse_numbers(text, number) && number[0] > 0;
    return valid ? "" : "expected a whole number of at least 1, got '" + text + "'";
  };
  return {check, ""};
}

CLI::Validator positive_number() {
  const auto check = [](const std::string& text) {
    double value = 0;
    const char* const end = text.data() + text.size();
    const auto [next, error] = std::from_chars(text.data(), end, value);
    const bool valid = error == std::errc() && next == end && value > 0 && std::isfinite(value);
    return valid ? "" : "expected a number above 0, got '" + text + "'";
  };
  return {check, ""};
}

/// What the parser alone cannot check: options that contradict each other.
void check_block_options(const BlockOptions& options) {
  if (options.norm && *options.norm != Norm::kGroup && options.groups)
    throw CLI::ValidationError(std::string("--groups: only --norm gn has groups, got --norm ") + to_string(*options.norm));
  if (options.norm == Norm::kNone && options.eps) throw CLI::ValidationError("--eps: --norm none has no epsilon");
}

/// Those that say which weights, and what their file cannot tell.
void add_weights_options(CLI::App& command, BlockOptions& options) {
  CLI::Option* weights =
      command
          .add_option("--weights", options.weights,
                      "safetensors file with the block's weights, or the index.json of a sharded model; - for standard input")
          ->type_name("FILE");
  command.add_option("--prefix", options.prefix, "what the block's keys begin with; not needed for a file of one block")
      ->type_name("PREFIX")
      ->needs(weights);
  add_choice(command, "--norm", options.norm, {Norm::kGroup, Norm::kInstance, Norm::kBatch, Norm::kNone},
             "group, instance, batch or no norm; default: as the file tells (never none), or gn");
  command
      .add_option("--groups", options.groups, "groups of gn; default 32, said in a note; required where that does not divide C")
      ->type_name("N")
      ->check(positive_count());
  command.add_option("--eps", options.eps, "epsilon of the norm; default: the key style's; required where it has two")
      ->type_name("EPS")
      ->check(positive_number());
  command
      .add_option("--heads", options.heads,
                  "attention heads; default 1, said in a note; required where the key style has any number")
      ->type_name("N")
      ->check(positive_count());
  add_choice(command, "--qkv-order", options.qkv_order, {io::QkvOrder::kNew, io::QkvOrder::kLegacy},
             "rows of guided-diffusion's qkv, required for several heads")
      ->needs(weights);
  command.add_option("--scale", options.scale, "what the scores q k are multiplied by; default 1/sqrt(C/heads)")
      ->type_name("S")
      ->check(positive_number());
  command.add_option("--rescale-output", options.rescale_output, "what the sum is divided by, as in diffusers; default 1")
      ->type_name("FACTOR")
      ->check(positive_number());
  command.add_flag("--no-residual", options.no_residual, "leave out the `x +`");
  command.callback([&options] { check_block_options(options); });
}

void add_threads_option(CLI::App& command, BlockOptions& options) {
  command.add_option("--threads", options.threads, "default 1; 0 for all processors")->type_name("N")->check(whole_number());
}

/// Those of the weights, and how to run the block at any precision.
void add_block_options(CLI::App& command, BlockOptions& options) {
  add_weights_options(command, options);
  add_choice(command, "--layout", options.layout, {Layout::kNchw, Layout::kNhwc}, "of input and output; default nchw");
  add_threads_option(command, options);
  add_choice(command, "--isa", options.isa, {Isa::kAuto, Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kNeon},
             "instruction set of all kernels but XNNPACK's; default auto, the best");
  add_choice(command, "--gemm", options.gemm, {GemmChoice::kAuto, GemmChoice::kXnnpack, GemmChoice::kBuiltin},
             "who multiplies matrices; default auto: XNNPACK, but built in on AVX2 without AVX-512, on Zen 5 with XNNPACK 2022, and where "
             "XNNPACK cannot be used");
  command.add_option("--scratch-budget", options.scratch_budget, "most bytes of scratch; default 0, no limit")
      ->type_name("BYTES")
      ->check(whole_number());
  command.add_option("--l2-bytes", options.l2_bytes, "second-level cache that a thread has to itself; default: as the system tells")
      ->type_name("BYTES")
      ->check(positive_count());
  const auto set_tile = [&options](const std::array<std::size_t, 2>& tile) {
    options.query_tile = tile[0];
    options.key_block = tile[1];
  };
  add_numbers<2>(command, "--tile", "BQ,BK", 1, set_tile, "query rows and keys handled at once; default: the plan's choice");
  command.add_flag("--json", options.json, "print one JSON object");
}

void add_precision_option(CLI::App& command, BlockOptions& options) {
  add_choice(command, "--precision", options.precision, {Precision::kFloat32, Precision::kBfloat16, Precision::kInt8},
             "of the products; default f32 (docs/precision.md)");
}

void add_shaped_options(CLI::App& command, ShapedOptions& options) {
  add_block_options(command, options);
  add_precision_option(command, options);
  const auto set_shape = [&options](const std::array<std::size_t, 4>& sizes) {
    options.shape = {.batch = sizes[0], .height = sizes[2], .width = sizes[3]};
    options.channels = sizes[1];
  };
  add_numbers<4>(command, "--shape", "B,C,H,W", 1, set_shape, "batch, channels, height and width")->required();
}

/// Those of a block that comes from a file, as x does.
template <class Options>
void add_input_options(CLI::App& command, Options& options) {
  add_block_options(command, options);
  command.get_option("--weights")->required();
  command.add_option("--input", options.input, "safetensors file with x; - for standard input")->type_name("FILE")->required();
  command.add_option("--tensor", options.tensor, "name of x in a file of several tensors")->type_name("NAME");
}

void add_run(CLI::App& app, RunOptions& options) {
  CLI::App& run = *app.add_subcommand("run", "run an attention block on a feature map");
  add_input_options(run, options);
  add_precision_option(run, options);
  run.add_option("-o,--output", options.output, "safetensors file to write y to, as the tensor 'output'; - for standard output")
      ->type_name("FILE")
      ->required();
  CLI::Option* output_dtype = add_choice(run, "--output-dtype", options.output_dtype, {io::Dtype::kF32, io::Dtype::kF16, io::Dtype::kBf16},
                                         "of y in its file; default f32");
  CLI::Option* reference =
      run.add_option("--reference", options.reference, "file with the y to compare with; - for standard input")
          ->type_name("FILE");
  run.add_option("--reference-tensor", options.reference_tensor, "its name in a file of several tensors")
      ->type_name("NAME")
      ->needs(reference);
  const auto set_pixel = [&options](const std::array<std::size_t, 2>& pixel) {
    options.attention_map = {.row = pixel[0], .column = pixel[1]};
  };
  CLI::Option* map =
      add_numbers<2>(run, "--attention-map", "ROW,COLUMN", 0, set_pixel,
                     "write, in place of y, the softmax weights of this pixel (from 0) over its image: a picture of each head "
                     "if --output ends in .png, else the tensor 'attention' [heads, H, W]")
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
  plan.add_option("--svg", options.output, "file to draw the memory map to; - for standard output")->type_name("FILE");
}

void add_bench(CLI::App& app, BenchOptions& options) {
  CLI::App& bench = *app.add_subcommand("bench", "time a block against the multiply-adds that the machine can do");
  add_shaped_options(bench, options);
  bench.add_option("--reps", options.reps, "timed runs; default: as many as take a second, at least 5")
      ->type_name("N")
      ->check(positive_count());
  bench.add_option("--svg", options.output, "file to draw phases and speed to; - for standard output")->type_name("FILE");
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
  add_threads_option(fold, options);
  fold.add_option("-o,--output", options.output, "safetensors file to write the folded weights to; - for standard output")
      ->type_name("FILE")
      ->required();
}

void add_inspect(CLI::App& app, InspectOptions& options) {
  CLI::App& inspect = *app.add_subcommand("inspect", "list a weights file's tensors and the attention blocks in it");
  inspect.add_option("WEIGHTS", options.weights, "safetensors file, or the index.json of a sharded model; - for standard input")
      ->required();
  inspect.add_flag("--json", options.json, "print one JSON object");
}

/// What people write for the standard streams; a file of that name is ./-.
void name_stream(std::string& path, const char* stream) {
  if (path == "-") path = stream;
}
void name_stream(std::optional<std::string>& path, const char* stream) {
  if (path) name_stream(*path, stream);
}

constexpr const char* kInput = "/dev/stdin";

template <class Options>
Options with_streams(Options options) {
  name_stream(options.weights, kInput);
  if constexpr (requires { options.input; }) name_stream(options.input, kInput);
  if constexpr (requires { options.reference; }) name_stream(options.reference, kInput);
  if constexpr (requires { options.output; }) name_stream(options.output, "/dev/stdout");
  return options;
}

}  // namespace

Command parse_command_line(int argc, char** argv) {
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
  } catch (const CLI::Success& asked) {
    std::ostringstream text;
    app.exit(asked, text, text);
    return Information{text.str()};
  } catch (const CLI::ParseError& error) {
    if (argc > 1 && argv[1][0] != '-' && app.get_subcommands().empty())
      throw WrongCommandLine("'" + std::string(argv[1]) + "' is no command (see edgeattn --help)");
    std::string help = "edgeattn ";
    for (const CLI::App* command : app.get_subcommands()) help += command->get_name() + " ";
    throw WrongCommandLine(std::string(error.what()) + " (see " + help + "--help)");
  }
  if (app.got_subcommand("run")) return with_streams(run);
  if (app.got_subcommand("plan")) return with_streams(plan);
  if (app.got_subcommand("bench")) return with_streams(bench);
  if (app.got_subcommand("check")) return with_streams(check);
  if (app.got_subcommand("fold")) return with_streams(fold);
  return with_streams(inspect);
}

}  // namespace edgeattn::cli
