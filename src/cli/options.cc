#include "cli/options.h"

#include <array>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <string_view>

#include "cli/failure.h"

namespace edgeattn::cli {
namespace {

constexpr auto kNorms = {Norm::kGroup, Norm::kInstance, Norm::kBatch, Norm::kNone};
constexpr auto kQkvOrders = {io::QkvOrder::kNew, io::QkvOrder::kLegacy};
constexpr auto kLayouts = {Layout::kNchw, Layout::kNhwc};
constexpr auto kPrecisions = {Precision::kFloat32, Precision::kBfloat16, Precision::kInt8};
constexpr auto kOutputDtypes = {io::Dtype::kF32, io::Dtype::kF16, io::Dtype::kBf16};
constexpr auto kIsas = {Isa::kAuto, Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kNeon};
constexpr auto kGemms = {GemmChoice::kAuto, GemmChoice::kXnnpack, GemmChoice::kBuiltin};

/// As `--output-dtype` spells it.
const char* to_string(io::Dtype dtype) {
  return dtype == io::Dtype::kF16 ? "f16" : dtype == io::Dtype::kBf16 ? "bf16" : "f32";
}

template <class Enum>
CLI::Validator one_of(std::initializer_list<Enum> values) {
  std::string names;
  for (Enum value : values) names.append(names.empty() ? "" : "|").append(to_string(value));
  const auto check = [values, names](const std::string& text) {
    for (Enum value : values)
      if (text == to_string(value)) return std::string();
    return "expected one of " + names + ", got '" + text + "'";
  };
  return {check, names};
}

/// The value that `text` names; the parser has checked that there is one.
template <class Enum>
Enum named(std::initializer_list<Enum> values, const std::string& text) {
  for (Enum value : values)
    if (text == to_string(value)) return value;
  throw CLI::ValidationError("'" + text + "' is not a known name");
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

std::array<std::size_t, 2> parse_tile(const std::string& text) {
  std::array<std::size_t, 2> tile{};
  if (!text.empty() && (!parse_numbers(text, tile) || tile[0] == 0 || tile[1] == 0))
    throw CLI::ValidationError("--tile: expected BQ,BK, each at least 1, got '" + text + "'");
  return tile;
}

}  // namespace

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

void add_weights_options(CLI::App& command, BlockOptions& options) {
  CLI::Option* weights = command.add_option("--weights", options.weights, "safetensors file with the block's weights")
                             ->type_name("FILE");
  command.add_option("--prefix", options.prefix, "what the block's keys begin with; not needed for a file of one block")
      ->type_name("PREFIX")
      ->needs(weights);
  command.add_option("--norm", options.norm, "group, instance, batch or no norm; default: as the file tells, or gn")
      ->check(one_of(kNorms));
  command.add_option("--groups", options.groups, "groups of gn; default 32")->type_name("N")->check(positive_count());
  command.add_option("--eps", options.eps, "epsilon of the norm; default: the key style's; required where it has two")
      ->type_name("EPS")
      ->check(positive_number());
  command.add_option("--heads", options.heads, "attention heads; default 1; required where the key style does not tell")
      ->type_name("N")
      ->check(positive_count());
  command.add_option("--qkv-order", options.qkv_order, "rows of guided-diffusion's qkv, required for several heads")
      ->check(one_of(kQkvOrders))
      ->needs(weights);
  command.add_option("--rescale-output", options.rescale_output, "what the sum is divided by, as in diffusers; default 1")
      ->type_name("FACTOR")
      ->check(positive_number());
  command.add_flag("--no-residual", options.no_residual, "leave out the `x +`");
}

void add_block_options(CLI::App& command, BlockOptions& options) {
  add_weights_options(command, options);
  command.add_option("--layout", options.layout, "of input and output; default nchw")->check(one_of(kLayouts));
  command.add_option("--threads", options.threads, "default 1; 0 for all processors")
      ->type_name("N")
      ->check(whole_number());
  command.add_option("--isa", options.isa, "instruction set of the kernels; default auto")->check(one_of(kIsas));
  command.add_option("--gemm", options.gemm, "who multiplies matrices; default auto: XNNPACK where it works")
      ->check(one_of(kGemms));
  command.add_option("--scratch-budget", options.scratch_budget, "most bytes of scratch; default 0, no limit")
      ->type_name("BYTES")
      ->check(whole_number());
  command.add_option("--l2-bytes", options.l2_bytes, "second-level cache that a thread has to itself; default: as the system tells")
      ->type_name("BYTES")
      ->check(positive_count());
  command.add_option("--tile", options.tile, "query rows and keys handled at once; default: the plan's choice")
      ->type_name("BQ,BK");
  command.add_flag("--json", options.json, "print one JSON object");
}

void add_precision_option(CLI::App& command, BlockOptions& options) {
  command.add_option("--precision", options.precision, "of the products; default f32 (docs/precision.md)")
      ->check(one_of(kPrecisions));
}

CLI::Option* add_output_dtype_option(CLI::App& command, std::string& name) {
  return command.add_option("--output-dtype", name, "of y in its file; default f32")->check(one_of(kOutputDtypes));
}

io::Dtype output_dtype(const std::string& name) { return named(kOutputDtypes, name); }

void add_shaped_options(CLI::App& command, ShapedOptions& options) {
  add_block_options(command, options);
  add_precision_option(command, options);
  command.add_option("--shape", options.shape, "batch, channels, height and width")->type_name("B,C,H,W")->required();
}

void check_block_options(const BlockOptions& options) {
  if (options.norm && *options.norm != to_string(Norm::kGroup) && options.groups)
    throw CLI::ValidationError("--groups: only --norm gn has groups, got --norm " + *options.norm);
  if (options.norm && *options.norm == to_string(Norm::kNone) && options.eps)
    throw CLI::ValidationError("--eps: --norm none has no epsilon");
  static_cast<void>(parse_tile(options.tile));
}

ShapeOption parse_shape(const std::string& text) {
  std::array<std::size_t, 4> sizes{};
  bool valid = parse_numbers(text, sizes);
  for (std::size_t size : sizes) valid = valid && size > 0;
  if (!valid) throw CLI::ValidationError("--shape: expected B,C,H,W, each at least 1, got '" + text + "'");
  return {.shape = {.batch = sizes[0], .height = sizes[2], .width = sizes[3]}, .channels = sizes[1]};
}

PixelOption parse_pixel(const std::string& text) {
  std::array<std::size_t, 2> pixel{};
  if (!parse_numbers(text, pixel))
    throw CLI::ValidationError("--attention-map: expected ROW,COLUMN, counted from 0, got '" + text + "'");
  return {.row = pixel[0], .column = pixel[1]};
}

PlanOptions plan_options(const BlockOptions& options, const Machine& machine) {
  const auto [query_tile, key_block] = parse_tile(options.tile);
  return {.layout = named(kLayouts, options.layout),
          .threads = options.threads == 0 ? machine.processors : options.threads,
          .isa = named(kIsas, options.isa),
          .precision = named(kPrecisions, options.precision),
          .scratch_budget_bytes = options.scratch_budget,
          .query_tile = query_tile,
          .key_block = key_block};
}

GemmChoice gemm_choice(const BlockOptions& options) { return named(kGemms, options.gemm); }

Spec spec_without_weights(const BlockOptions& options, std::size_t channels) {
  Spec spec;
  spec.channels = channels;
  if (options.norm) spec.norm = named(kNorms, *options.norm);
  spec.groups = options.groups.value_or(spec.groups);
  spec.eps = options.eps.value_or(spec.eps);
  spec.heads = options.heads.value_or(spec.heads);
  spec.residual = !options.no_residual;
  spec.rescale_output = options.rescale_output.value_or(spec.rescale_output);
  return spec;
}

io::BlockWeights read_weights(const BlockOptions& options) {
  io::BlockRequest request;
  Norm norm{};
  if (options.prefix) request.prefix = &*options.prefix;
  if (options.norm) {
    norm = named(kNorms, *options.norm);
    request.norm = &norm;
  }
  request.groups = options.groups.value_or(request.groups);
  request.eps = options.eps.value_or(request.eps);
  request.heads = options.heads.value_or(request.heads);
  if (options.qkv_order) request.qkv_order = named(kQkvOrders, *options.qkv_order);
  const bool residual = false;
  if (options.no_residual) request.residual = &residual;
  request.rescale_output = options.rescale_output.value_or(request.rescale_output);

  io::SafetensorsFile file;
  io::BlockWeights weights;
  check(io::SafetensorsFile::open(*options.weights, file));
  check(io::load_block(file, request, weights));
  const std::string block = file.path() + ", block '" + weights.prefix + "'";
  if (options.groups && weights.spec.norm != Norm::kGroup)
    throw Failure("--groups: only gn has groups, but " + block + " has the norm " + to_string(weights.spec.norm));
  if (options.eps && weights.spec.norm == Norm::kNone)
    throw Failure("--eps: only a norm has an epsilon, but " + block + " has none");
  return weights;
}

io::BlockWeights read_weights(const ShapedOptions& options, const ShapeOption& shape) {
  io::BlockWeights weights = read_weights(options);
  if (weights.spec.channels != shape.channels)
    throw Failure(*options.weights + ", block '" + weights.prefix + "': has " + std::to_string(weights.spec.channels) +
                  " channels, but --shape " + options.shape + " has " + std::to_string(shape.channels));
  return weights;
}

}  // namespace edgeattn::cli
