#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>

#include "block/fold.h"
#include "block/spans.h"
#include "float_scope.h"
#include "gemm/builtin.h"
#include "plan/isa.h"
#include "plan/memory_map.h"
#include "plan/precision.h"
#include "plan/spec.h"

namespace edgeattn {
namespace {

/// Writes a [C, C] matrix and its bias to where products look for them, at reduced precision rounded to 16 bits.
class WeightPacker {
 public:
  /// @param packed  layout.bytes(): all of it is written
  WeightPacker(const char* name, const PanelLayout& layout, const ReducedTable& reduced, std::byte* packed) noexcept
      : name_(name), layout_(layout), reduced_(reduced), packed_(packed) {
    std::fill_n(packed, layout.bytes(), std::byte{0});
  }

  /// Packs a tile of at most kMostColumns columns, times `factor`.
  void matrix(const WeightTile& tile, double factor = 1) noexcept {
    for (std::size_t r = 0; r < tile.rows; ++r) {
      const float* row = tile.values + r * tile.stride;
      if (factor != 1) row = scaled(row, tile.columns, factor);
      if (layout_.element_bytes == sizeof(float)) {
        scatter(row, tile.columns, tile.first_column, tile.first_row + r);
      } else {
        scatter(rounded(row, tile.columns), tile.columns, tile.first_column, tile.first_row + r);
      }
    }
  }

  void bias(std::size_t output, float value) noexcept {
    *reinterpret_cast<float*>(packed_ + layout_.header_offset(output)) = value;
  }

  /// Packs a whole matrix, times `factor`, with its bias; null for zero.
  void pack(const float* weight, const float* bias_values, double factor = 1) noexcept {
    // A panel's rows and a cache line's columns at a time, so that what is written stays in the first cache.
    constexpr std::size_t kColumns = 16;
    const std::size_t channels = layout_.inputs;
    for (std::size_t o = 0; o < channels; o += layout_.nr)
      for (std::size_t i = 0; i < channels; i += kColumns)
        matrix({.values = weight + o * channels + i,
                .stride = channels,
                .first_row = o,
                .rows = std::min<std::size_t>(layout_.nr, channels - o),
                .first_column = i,
                .columns = std::min(kColumns, channels - i)},
               factor);
    for (std::size_t o = 0; bias_values != nullptr && o < channels; ++o) bias(o, scale(bias_values[o], factor));
  }

  /// Packs a product of weights.
  Status fold(const Product& product, const Kernels& kernels) noexcept {
    EDGEATTN_TRY(fold_product(
        product, layout_.inputs, kernels, [&](const WeightTile& tile) { matrix(tile); },
        [&](std::size_t o, float value) { bias(o, value); }));
    return finished();
  }

  /// kInvalidArgument if an element is not finite any more.
  [[nodiscard]] Status finished() const noexcept {
    if (finite_) return {};
    return Status::error(StatusCode::kInvalidArgument, "weights: ", name_, " overflows ",
                         layout_.element_bytes == sizeof(float)  ? "float32 when scaled"
                         : reduced_.traits.half_is_fp16          ? "fp16"
                                                                 : "bfloat16");
  }

 private:
  static constexpr std::size_t kMostColumns = 32;

  float scale(float value, double factor) noexcept {
    const auto result = static_cast<float>(value * factor);
    finite_ = finite_ && std::isfinite(result);
    return result;
  }

  const float* scaled(const float* row, std::size_t columns, double factor) noexcept {
    std::transform(row, row + columns, scaled_, [&](float value) { return scale(value, factor); });
    return scaled_;
  }

  const Half* rounded(const float* row, std::size_t columns) noexcept {
    reduced_.kernels.round_rows(row, nullptr, 1, columns, columns, halves_, std::size(halves_));
    const unsigned exponent = reduced_.traits.half_is_fp16 ? 0x7C00u : 0x7F80u;
    for (std::size_t k = 0; k < columns; ++k) finite_ = finite_ && (halves_[k] & exponent) != exponent;
    return halves_;
  }

  template <class Element>
  void scatter(const Element* row, std::size_t columns, std::size_t first_column, std::size_t output) noexcept {
    if (layout_.plain()) {
      auto* const column = reinterpret_cast<Element*>(packed_ + layout_.byte_offset(first_column, output));
      for (std::size_t k = 0; k < columns; ++k) column[k * layout_.nr] = row[k];
    } else {
      for (std::size_t k = 0; k < columns; ++k)
        *reinterpret_cast<Element*>(packed_ + layout_.byte_offset(first_column + k, output)) = row[k];
    }
  }

  const char* name_;
  const PanelLayout& layout_;
  const ReducedTable& reduced_;
  std::byte* packed_;
  bool finite_ = true;
  float scaled_[kMostColumns];
  alignas(16) Half halves_[kMostColumns];
};

/// Packs weights into `memory` as `plan` maps it.
struct Packing {
  const Plan& plan;
  const ReducedTable& reduced;
  std::byte* memory;

  [[nodiscard]] std::byte* at(std::string_view name) const noexcept { return memory + find_region(plan, name).offset; }
  [[nodiscard]] WeightPacker packer(const char* name, std::string_view region) const noexcept {
    return {name, plan.projection, reduced, at(region)};
  }
};

/// With several heads nothing folds but biases and scale: bk adds to all scores of a query alike, which the softmax cancels,
/// and weights of a row sum to one, so that bv passes through: b' = Wo bv + bo.
Status pack_heads(const Spec& spec, const Weights& weights, const Packing& packing) noexcept {
  const std::size_t c = spec.channels;
  const float* const bias = weights.qkv_bias;
  WeightPacker queries = packing.packer("to_qkv.weight (q)", region::kScoreWeights);
  queries.pack(weights.qkv_weight, bias, score_product(spec, weights).factor);
  EDGEATTN_TRY(queries.finished());
  WeightPacker keys = packing.packer("to_qkv.weight (k)", region::kKeyWeights);
  keys.pack(weights.qkv_weight + c * c, nullptr);
  EDGEATTN_TRY(keys.finished());
  WeightPacker values = packing.packer("to_qkv.weight (v)", region::kValueWeights);
  values.pack(weights.qkv_weight + 2 * c * c, nullptr);
  EDGEATTN_TRY(values.finished());

  WeightPacker out = packing.packer("to_out.weight", region::kOutputWeights);
  out.pack(weights.out_weight, nullptr);
  EDGEATTN_TRY(out.finished());
  for (std::size_t o = 0; o < c; ++o) {
    double sum = weights.out_bias != nullptr ? double{weights.out_bias[o]} : 0.0;
    for (std::size_t i = 0; bias != nullptr && i < c; ++i)
      sum += double{weights.out_weight[o * c + i]} * double{bias[2 * c + i]};
    const auto folded = static_cast<float>(sum);
    if (!std::isfinite(folded))
      return Status::error(StatusCode::kInvalidArgument, "weights: to_qkv.bias (v) with to_out overflows float32 when folded");
    out.bias(o, folded);
  }
  auto* const identity = reinterpret_cast<float*>(packing.at(region::kIdentity));
  std::fill_n(identity, c, 0.0f);
  std::fill_n(identity + c, c, 1.0f);
  return {};
}

/// Rows mean, scale, shift; for GroupNorm and InstanceNorm the run computes the mean and finishes the scale.
Status store_norm(const Spec& spec, const Weights& weights, float* norm) noexcept {
  const std::size_t c = spec.channels;
  const std::span<float> mean(norm, c), scale(norm + c, c), shift(norm + 2 * c, c);
  for (std::size_t i = 0; i < c; ++i) {
    mean[i] = spec.norm == Norm::kBatch ? weights.running_mean[i] : 0.0f;
    scale[i] = spec.norm == Norm::kNone ? 1.0f : weights.norm_weight[i];
    shift[i] = spec.norm == Norm::kNone ? 0.0f : weights.norm_bias[i];
    if (spec.norm == Norm::kBatch)
      scale[i] = static_cast<float>(scale[i] / std::sqrt(double{weights.running_var[i]} + spec.eps));
    if (!std::isfinite(scale[i]))
      return Status::error(StatusCode::kInvalidArgument, "weights: norm.weight / sqrt(norm.running_var + eps) ",
                           "overflows float32 at index ", i);
  }
  return {};
}

/// A plan of the prepared weights alone.
Status plan_prepared(const Spec& spec, const Machine& machine, const Gemm& gemm, const PreparedFormat& format, ReducedSet& set,
                     Plan& plan) noexcept {
  EDGEATTN_TRY(check_spec(spec));
  if (gemm.probe == nullptr)
    return Status::error(StatusCode::kInvalidArgument, "gemm is empty: call gemm_traits first");
  plan.spec = spec;
  plan.precision = format.precision;
  EDGEATTN_TRY(choose_isa(format.isa, machine, plan.isa));
  EDGEATTN_TRY(choose_reduced(format.precision, plan.isa, machine, set));
  const Gemm products = builtin::with_kernels(gemm, kernel_set(plan.isa));
  EDGEATTN_TRY(operand_layout(format.precision, set, products, Operand::kWeights, spec.channels, spec.channels, plan.projection));
  map_prepared(plan);
  return {};
}

}  // namespace

Status prepared_bytes(const Spec& spec, const Machine& machine, const Gemm& gemm, std::size_t& bytes,
                      const PreparedFormat& format) noexcept {
  const FloatScope scope(Denormals::kKept);
  Plan plan;
  ReducedSet set = ReducedSet::kScalar;
  EDGEATTN_TRY(plan_prepared(spec, machine, gemm, format, set, plan));
  bytes = plan.prepared_bytes;
  return {};
}

Status prepare(const Spec& spec, const Weights& weights, const Machine& machine, const Gemm& gemm,
               std::span<std::byte> memory, Prepared& prepared, const PreparedFormat& format) noexcept {
  const FloatScope scope(Denormals::kKept);
  Plan plan;
  ReducedSet set = ReducedSet::kScalar;
  EDGEATTN_TRY(plan_prepared(spec, machine, gemm, format, set, plan));
  EDGEATTN_TRY(check_span("prepared", memory, plan.prepared_bytes));
  EDGEATTN_TRY(check_weights(spec, weights));

  const ReducedTable reduced(set);
  const Packing packing{.plan = plan, .reduced = reduced, .memory = memory.data()};
  if (spec.heads > 1) {
    EDGEATTN_TRY(pack_heads(spec, weights, packing));
  } else {
    WeightPacker score = packing.packer("to_qkv.weight (q and k)", region::kScoreWeights);
    WeightPacker out = packing.packer("to_qkv.weight (v) with to_out.weight", region::kOutputWeights);
    if (weights.score_weight != nullptr) {
      score.pack(weights.score_weight, weights.score_bias);
      out.pack(weights.out_weight, weights.out_bias);
      EDGEATTN_TRY(score.finished());
      EDGEATTN_TRY(out.finished());
    } else {
      Kernels kernels;
      EDGEATTN_TRY(best_kernels(machine, kernels));
      EDGEATTN_TRY(score.fold(score_product(spec, weights), kernels));
      EDGEATTN_TRY(out.fold(out_product(spec, weights), kernels));
    }
  }
  const auto norm = reinterpret_cast<float*>(packing.at(region::kNorm));
  EDGEATTN_TRY(store_norm(spec, weights, norm));
  prepared = {.spec = spec,
              .precision = format.precision,
              .projection = plan.projection,
              .score_weight = packing.at(region::kScoreWeights),
              .out_weight = packing.at(region::kOutputWeights),
              .norm = norm};
  if (spec.heads > 1) {
    prepared.key_weight = packing.at(region::kKeyWeights);
    prepared.value_weight = packing.at(region::kValueWeights);
    prepared.identity = reinterpret_cast<const float*>(packing.at(region::kIdentity));
  }
  return {};
}

}  // namespace edgeattn
