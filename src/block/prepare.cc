#include <algorithm>
#include <atomic>
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
#include "plan/sizes.h"
#include "plan/spec.h"

namespace edgeattn {
namespace {

/// Writes a [C, C] matrix and its bias to where products look for them, at reduced precision rounded to 16 bits. Threads of a team
/// may write different elements at the same time.
class WeightPacker {
 public:
  /// @param packed  layout.bytes(): all of it is written
  WeightPacker(const char* name, const PanelLayout& layout, const ReducedTable& reduced, const Team& team, std::byte* packed) noexcept
      : name_(name), layout_(layout), reduced_(reduced), team_(team), packed_(packed) {
    std::fill_n(packed, layout.bytes(), std::byte{0});
  }

  /// Packs a whole matrix, times `factor`, with its bias; null for zero.
  Status pack(const float* weight, const float* bias_values, double factor = 1) noexcept {
    const std::size_t channels = layout_.inputs;
    for_each_claimed(team_, sizes::divide_up(channels, layout_.nr), [&](std::size_t, std::size_t panel) {
      const std::size_t first = panel * layout_.nr, end = std::min<std::size_t>(first + layout_.nr, channels);
      // A panel's rows and a cache line's columns at a time, so that what is written stays in the first cache.
      for (std::size_t i = 0; i < channels; i += kPackedColumns)
        for (std::size_t o = first; o < end; ++o)
          row({.values = weight + o * channels + i,
               .row = o,
               .first_column = i,
               .columns = std::min(kPackedColumns, channels - i)},
              factor);
      for (std::size_t o = first; bias_values != nullptr && o < end; ++o) bias(o, scale(bias_values[o], factor));
    });
    return finished();
  }

  /// Packs a product of weights.
  Status fold(const Product& product, const Kernels& kernels) noexcept {
    EDGEATTN_TRY(fold_product(
        product, layout_.inputs, kernels, team_, [&](const WeightRow& part) { row(part); },
        [&](std::size_t o, float value) { bias(o, value); }));
    return finished();
  }

  void bias(std::size_t output, float value) noexcept {
    *reinterpret_cast<float*>(packed_ + layout_.header_offset(output)) = value;
  }

 private:
  static constexpr std::size_t kPackedColumns = 16;
  static constexpr std::size_t kMostColumns = std::max(kPackedColumns, kFoldColumns);

  void row(const WeightRow& part, double factor = 1) noexcept {
    float scaled[kMostColumns];
    const float* values = part.values;
    if (factor != 1) {
      std::transform(values, values + part.columns, scaled, [&](float value) { return scale(value, factor); });
      values = scaled;
    }
    if (layout_.element_bytes == sizeof(float)) {
      scatter(values, part);
    } else {
      alignas(16) Half halves[kMostColumns];
      round(values, part.columns, halves);
      scatter(halves, part);
    }
  }

  float scale(float value, double factor) noexcept {
    const auto result = static_cast<float>(value * factor);
    if (!std::isfinite(result)) overflows();
    return result;
  }

  void round(const float* values, std::size_t columns, Half (&halves)[kMostColumns]) noexcept {
    reduced_.kernels.round_rows(values, nullptr, 1, columns, columns, halves, kMostColumns);
    const unsigned exponent = reduced_.traits.half_is_fp16 ? 0x7C00u : 0x7F80u;
    if (std::any_of(halves, halves + columns, [&](Half half) { return (half & exponent) == exponent; })) overflows();
  }

  template <class Element>
  void scatter(const Element* values, const WeightRow& part) noexcept {
    if (layout_.plain()) {
      auto* const column = reinterpret_cast<Element*>(packed_ + layout_.byte_offset(part.first_column, part.row));
      for (std::size_t k = 0; k < part.columns; ++k) column[k * layout_.nr] = values[k];
    } else {
      for (std::size_t k = 0; k < part.columns; ++k)
        *reinterpret_cast<Element*>(packed_ + layout_.byte_offset(part.first_column + k, part.row)) = values[k];
    }
  }

  void overflows() noexcept { finite_.store(false, std::memory_order_relaxed); }

  /// kInvalidArgument if an element is not finite any more.
  [[nodiscard]] Status finished() const noexcept {
    if (finite_.load(std::memory_order_relaxed)) return {};
    return Status::error(StatusCode::kInvalidArgument, "weights: ", name_, " overflows ",
                         layout_.element_bytes == sizeof(float)  ? "float32 when scaled"
                         : reduced_.traits.half_is_fp16          ? "fp16"
                                                                 : "bfloat16");
  }

  const char* name_;
  const PanelLayout& layout_;
  const ReducedTable& reduced_;
  const Team& team_;
  std::byte* packed_;
  std::atomic<bool> finite_{true};
};

/// Packs weights into `memory` as `plan` maps it.
struct Packing {
  const Plan& plan;
  const ReducedTable& reduced;
  Team team;
  std::byte* memory;

  [[nodiscard]] std::byte* at(std::string_view name) const noexcept { return memory + find_region(plan, name).offset; }
  [[nodiscard]] WeightPacker packer(const char* name, std::string_view region) const noexcept {
    return {name, plan.projection, reduced, team, at(region)};
  }
};

/// With several heads nothing folds but biases and scale: bk adds to all scores of a query alike, which the softmax cancels,
/// and weights of a row sum to one, so that bv passes through: b' = Wo bv + bo.
Status pack_heads(const Spec& spec, const Weights& weights, const Packing& packing) noexcept {
  const std::size_t c = spec.channels;
  const float* const bias = weights.qkv_bias;
  WeightPacker queries = packing.packer("to_qkv.weight (q)", region::kScoreWeights);
  EDGEATTN_TRY(queries.pack(weights.qkv_weight, bias, score_product(spec, weights).factor));
  WeightPacker keys = packing.packer("to_qkv.weight (k)", region::kKeyWeights);
  EDGEATTN_TRY(keys.pack(weights.qkv_weight + c * c, nullptr));
  WeightPacker values = packing.packer("to_qkv.weight (v)", region::kValueWeights);
  EDGEATTN_TRY(values.pack(weights.qkv_weight + 2 * c * c, nullptr));

  WeightPacker out = packing.packer("to_out.weight", region::kOutputWeights);
  EDGEATTN_TRY(out.pack(weights.out_weight, nullptr));
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
               std::span<std::byte> memory, Prepared& prepared, const PreparedFormat& format,
               pthreadpool_t pool) noexcept {
  const FloatScope scope(Denormals::kKept);
  Plan plan;
  ReducedSet set = ReducedSet::kScalar;
  EDGEATTN_TRY(plan_prepared(spec, machine, gemm, format, set, plan));
  EDGEATTN_TRY(check_span("prepared", memory, plan.prepared_bytes));
  EDGEATTN_TRY(check_weights(spec, weights));

  const ReducedTable reduced(set);
  const Packing packing{.plan = plan, .reduced = reduced, .team = whole_team(pool), .memory = memory.data()};
  if (spec.heads > 1) {
    EDGEATTN_TRY(pack_heads(spec, weights, packing));
  } else {
    WeightPacker score = packing.packer("to_qkv.weight (q and k)", region::kScoreWeights);
    WeightPacker out = packing.packer("to_qkv.weight (v) with to_out.weight", region::kOutputWeights);
    if (weights.score_weight != nullptr) {
      EDGEATTN_TRY(score.pack(weights.score_weight, weights.score_bias));
      EDGEATTN_TRY(out.pack(weights.out_weight, weights.out_bias));
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
