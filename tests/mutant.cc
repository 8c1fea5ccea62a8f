#include "mutant.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "files.h"

namespace edgeattn::test {
namespace {

struct FloatFormat {
  const char* name;
  int digits;  ///< behind the leading one
  int least_exponent;
};
constexpr FloatFormat kFloats[] = {{"F64", 52, -1022}, {"F32", 23, -126}, {"F16", 10, -14}, {"BF16", 7, -126}};

struct WholeFormat {
  const char* name;
  std::size_t bytes;
};
constexpr WholeFormat kWholes[] = {{"I64", 8}, {"I32", 4}, {"I16", 2}, {"I8", 1}, {"U8", 1}, {"BOOL", 1}};

const FloatFormat* float_called(const std::string& name) {
  const auto* const found = std::ranges::find(kFloats, name, &FloatFormat::name);
  return found == std::end(kFloats) ? nullptr : found;
}

double rounded(double value, const FloatFormat& format) {
  if (value == 0 || !std::isfinite(value)) return value;
  const int exponent = std::max(std::ilogb(value), format.least_exponent);
  const double step = std::ldexp(1.0, exponent - format.digits);
  return std::nearbyint(value / step) * step;
}

std::string half_bytes(double value) {
  std::uint16_t bits = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(value);
  if (std::isnan(value)) bits |= 0x7E00;
  else if (std::isinf(value)) bits |= 0x7C00;
  else if (magnitude < std::ldexp(1.0, -14)) bits |= static_cast<std::uint16_t>(std::ldexp(magnitude, 24));
  else {
    const int exponent = std::ilogb(magnitude);
    bits |= static_cast<std::uint16_t>(((exponent + 15) << 10) + static_cast<int>(std::ldexp(magnitude, 10 - exponent)) - 1024);
  }
  return little_endian(bits);
}

std::string element_bytes(double value, const std::string& dtype) {
  if (dtype == "F64") return little_endian(value);
  if (dtype == "F16") return half_bytes(value);
  const std::string single = little_endian(static_cast<float>(value));
  if (dtype == "F32") return single;
  if (dtype == "BF16") return single.substr(2);
  const std::size_t bytes = std::ranges::find(kWholes, dtype, &WholeFormat::name)->bytes;
  return little_endian(static_cast<std::int64_t>(value)).substr(0, bytes);
}

}  // namespace

bool is_float(const std::string& dtype) { return float_called(dtype) != nullptr; }

void convert(FileTensor& tensor, const std::string& dtype) {
  tensor.dtype = dtype;
  const FloatFormat* const format = float_called(dtype);
  for (double& value : tensor.values)
    value = format != nullptr ? rounded(value, *format) : std::isfinite(value) ? std::nearbyint(value) : 0;
}

std::string encode(const FileTensors& tensors) {
  std::string header, data;
  for (const auto& [name, tensor] : tensors) {
    header += (header.empty() ? "{\"" : ",\"") + name + R"(":{"dtype":")" + tensor.dtype + R"(","shape":[)";
    for (std::size_t i = 0; i < tensor.shape.size(); ++i) header += (i == 0 ? "" : ",") + std::to_string(tensor.shape[i]);
    header += R"(],"data_offsets":[)" + std::to_string(data.size()) + ',';
    for (const double value : tensor.values) data += element_bytes(value, tensor.dtype);
    header += std::to_string(data.size()) + "]}";
  }
  return safetensors(header.empty() ? "{}" : header + '}', data);
}

FileTensors Mutant::file() const {
  FileTensors tensors = beside;
  for (const auto& [name, tensor] : block) tensors[prefix + name] = tensor;
  return tensors;
}

namespace {

/// What docs/safetensors.md says of a style.
struct Documented {
  const char* name;
  std::vector<std::string> norms, projections;
  std::string out;
  double eps;  ///< 0: asked for
  bool asks_heads, asks_order, may_rescale;
};
const std::vector<std::string> kDdpmNorms = {"norm", "group_norm", "gn", "norm1", "norm.0", "GroupNorm_0"};
const std::vector<std::string> kDiffusersNorms = {"group_norm", "gn", "GroupNorm_0"};
const std::vector<std::string> kNorms = {"norm", "group_norm", "gn", "GroupNorm_0"};
const Documented kDocumented[] = {
    {"ddpm", kDdpmNorms, {"to_qkv"}, "to_out", 1e-5, false, false, false},
    {"diffusers", kDiffusersNorms, {"to_q", "to_k", "to_v"}, "to_out.0", 0, true, false, true},
    {"diffusers-legacy", kDiffusersNorms, {"query", "key", "value"}, "proj_attn", 0, true, false, true},
    {"compvis", kNorms, {"q", "k", "v"}, "proj_out", 1e-6, false, false, false},
    {"guided-diffusion", kNorms, {"qkv"}, "proj_out", 1e-5, true, true, false},
};

using Values = std::vector<float>;

/// Takes the tensors of a block out of a list, one by one: what is left in the end is unknown.
class Taker {
 public:
  explicit Taker(FileTensors tensors) : left_(std::move(tensors)) {}

  [[nodiscard]] bool has(const std::string& name) const { return left_.contains(name); }
  /// The values of a tensor of [rows] or, with columns, [rows, columns] and up to two sizes of 1; null when it is not there or
  /// not so.
  std::optional<Values> take(const std::string& name, std::size_t rows, std::size_t columns = 0) {
    const auto found = left_.find(name);
    if (found == left_.end()) return {};
    const FileTensor tensor = std::move(found->second);
    left_.erase(found);
    std::vector<std::size_t> shape = tensor.shape;
    if (columns != 0 && shape.size() > 4) return {};
    while (columns != 0 && shape.size() > 2 && shape.back() == 1) shape.pop_back();
    const std::vector<std::size_t> wanted = columns == 0 ? std::vector{rows} : std::vector{rows, columns};
    if (shape != wanted || !is_float(tensor.dtype)) return {};
    Values values(tensor.values.begin(), tensor.values.end());
    if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); })) return {};
    return values;
  }
  /// @param norm  what the block's norm is called; empty for none
  void drop_harmless(const std::string& norm) {
    if (!norm.empty()) left_.erase(norm + ".num_batches_tracked");
    std::erase_if(left_, [](const auto& entry) {
      const std::string& name = entry.first;
      return name == "total_ops" || name.ends_with(".total_ops") || name == "dropout.seed_generator.seed_generator_state";
    });
  }
  [[nodiscard]] bool empty() const { return left_.empty(); }

 private:
  FileTensors left_;
};

/// Row of [q, k, v][head][d] in [head][q, k, v][d].
std::size_t legacy_row(std::size_t row, std::size_t channels, std::size_t heads) {
  const std::size_t depth = channels / heads, part = row / channels, head = row % channels / depth;
  return (head * 3 + part) * depth + row % depth;
}

Values in_order(const Values& rows, std::size_t columns, std::size_t channels, const Asked& asked) {
  if (asked.order != io::QkvOrder::kLegacy || rows.empty()) return rows;
  Values ordered;
  for (std::size_t row = 0; row < 3 * channels; ++row) {
    const auto from = rows.begin() + static_cast<std::ptrdiff_t>(legacy_row(row, channels, asked.heads) * columns);
    ordered.insert(ordered.end(), from, from + static_cast<std::ptrdiff_t>(columns));
  }
  return ordered;
}

/// The projections of a style, all three in one; false when some part is missing or wrong.
bool take_projections(const Documented& style, std::size_t channels, Taker& taker, io::BlockWeights& result) {
  const std::size_t rows = 3 * channels / style.projections.size();
  bool any_bias = false;
  for (const std::string& projection : style.projections) {
    const std::optional<Values> weight = taker.take(projection + ".weight", rows, channels);
    if (!weight) return false;
    result.qkv_weight.insert(result.qkv_weight.end(), weight->begin(), weight->end());
    const bool has_bias = taker.has(projection + ".bias");
    const std::optional<Values> bias = has_bias ? taker.take(projection + ".bias", rows) : Values(rows);
    if (!bias) return false;
    result.qkv_bias.insert(result.qkv_bias.end(), bias->begin(), bias->end());
    any_bias = any_bias || has_bias;
  }
  if (!any_bias) result.qkv_bias.clear();
  return true;
}

bool take_norm(const Documented& style, const Mutant& mutant, Taker& taker, io::BlockWeights& result) {
  std::vector<std::string> found;
  for (const std::string& norm : style.norms) {
    const bool there = taker.has(norm + ".weight") || taker.has(norm + ".bias") || taker.has(norm + ".running_mean") ||
                       taker.has(norm + ".running_var");
    if (there) found.push_back(norm);
  }
  const std::optional<Norm>& wanted = mutant.asked.norm;
  if (found.empty()) {
    taker.drop_harmless("");
    result.spec.norm = Norm::kNone;
    // In a wrapper called `fn`, to_qkv may be linear attention's.
    const bool wrapped = style.out == "to_out" && (mutant.prefix == "fn." || mutant.prefix.ends_with(".fn."));
    return wanted == Norm::kNone && !wrapped;
  }
  if (found.size() > 1 || wanted == Norm::kNone) return false;
  const std::string& norm = found[0];
  const bool running = taker.has(norm + ".running_mean") || taker.has(norm + ".running_var");
  result.spec.norm = wanted.value_or(running ? Norm::kBatch : Norm::kGroup);
  if (running != (result.spec.norm == Norm::kBatch)) return false;
  const auto take = [&](const char* key, Values& values) {
    const std::optional<Values> taken = taker.take(norm + key, result.spec.channels);
    if (taken) values = *taken;
    return taken.has_value();
  };
  if (!take(".weight", result.norm_weight) || !take(".bias", result.norm_bias)) return false;
  if (running && (!take(".running_mean", result.running_mean) || !take(".running_var", result.running_var))) return false;
  taker.drop_harmless(norm);
  return std::ranges::all_of(result.running_var, [](float value) { return value >= 0; });
}

/// The spec that is asked for, and what of it is assumed; false when something is left open.
bool settle(const Documented& style, const Mutant& mutant, io::BlockWeights& result) {
  const Asked& asked = mutant.asked;
  Spec& spec = result.spec;
  const bool group = spec.norm == Norm::kGroup, none = spec.norm == Norm::kNone;
  if (asked.heads == 0 && style.asks_heads) return false;
  if (asked.eps == 0 && style.eps == 0 && !none) return false;
  spec.heads = asked.heads == 0 ? 1 : asked.heads;
  spec.groups = asked.groups == 0 ? 32 : asked.groups;
  spec.eps = asked.eps != 0 ? asked.eps : style.eps != 0 ? style.eps : Spec{}.eps;
  spec.residual = mutant.residual;
  spec.rescale_output = asked.rescale_output == 0 ? 1 : asked.rescale_output;
  if (spec.channels % spec.heads != 0 || (group && spec.channels % spec.groups != 0)) return false;
  if (style.asks_order ? spec.heads > 1 && asked.order == io::QkvOrder::kUnsaid : asked.order != io::QkvOrder::kUnsaid)
    return false;
  using io::Untold;
  result.assumed = (asked.heads == 0 ? Untold::kHeads : 0) | (asked.groups == 0 && group ? Untold::kGroups : 0) |
                   (asked.eps == 0 && !none ? Untold::kEps : 0) |
                   (asked.rescale_output == 0 && style.may_rescale ? Untold::kRescaleOutput : 0);
  return true;
}

std::optional<io::BlockWeights> meaning_in(const Documented& style, const Mutant& mutant) {
  const auto first = mutant.block.find(style.projections[0] + ".weight");
  if (first == mutant.block.end() || first->second.shape.size() < 2) return {};
  Taker taker(mutant.block);
  io::BlockWeights result;
  result.style = style.name;
  result.prefix = mutant.prefix;
  const std::size_t channels = result.spec.channels = first->second.shape[1];
  if (channels == 0 || !take_projections(style, channels, taker, result)) return {};
  const std::optional<Values> weight = taker.take(style.out + ".weight", channels, channels);
  const std::optional<Values> bias = taker.has(style.out + ".bias") ? taker.take(style.out + ".bias", channels) : Values();
  if (!weight || !bias || !take_norm(style, mutant, taker, result) || !taker.empty() || !settle(style, mutant, result)) return {};
  result.out_weight = *weight;
  result.out_bias = *bias;
  result.qkv_weight = in_order(result.qkv_weight, channels, channels, mutant.asked);
  result.qkv_bias = in_order(result.qkv_bias, 1, channels, mutant.asked);
  return result;
}

}  // namespace

std::optional<io::BlockWeights> meaning(const Mutant& mutant) {
  for (const Documented& style : kDocumented) {
    if (std::optional<io::BlockWeights> found = meaning_in(style, mutant)) return found;
  }
  return {};
}

}  // namespace edgeattn::test
