#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <span>

#include "block/spans.h"
#include "edgeattn/block.h"
#include "kernels.h"
#include "plan/isa.h"
#include "plan/memory_map.h"
#include "plan/spec.h"

namespace edgeattn {
namespace {

bool finite(float value) noexcept { return std::isfinite(value); }

struct NamedTensor {
  const char* name;
  const float* values;
  std::size_t count;
  bool required;
};

Status check_tensor(const NamedTensor& tensor) noexcept {
  if (tensor.values == nullptr) {
    if (!tensor.required) return {};
    return Status::error(StatusCode::kInvalidArgument, "weights: ", tensor.name, " is missing, ", tensor.count,
                         " values required");
  }
  if (reinterpret_cast<std::uintptr_t>(tensor.values) % alignof(float) != 0)
    return Status::error(StatusCode::kInvalidArgument, "weights: ", tensor.name, " is not aligned to 4 bytes");
  for (std::size_t i = 0; i < tensor.count; ++i)
    if (!finite(tensor.values[i]))
      return Status::error(StatusCode::kInvalidArgument, "weights: ", tensor.name, " is not finite at index ", i);
  return {};
}

Status check_weights(const Spec& spec, const Weights& weights) noexcept {
  const std::size_t c = spec.channels;
  const bool has_norm = spec.norm != Norm::kNone;
  const bool has_statistics = spec.norm == Norm::kBatch;
  const NamedTensor tensors[] = {
      {"norm.weight", has_norm ? weights.norm_weight : nullptr, c, has_norm},
      {"norm.bias", has_norm ? weights.norm_bias : nullptr, c, has_norm},
      {"norm.running_mean", has_statistics ? weights.running_mean : nullptr, c, has_statistics},
      {"norm.running_var", has_statistics ? weights.running_var : nullptr, c, has_statistics},
      {"to_qkv.weight", weights.qkv_weight, 3 * c * c, true},
      {"to_qkv.bias", weights.qkv_bias, 3 * c, false},
      {"to_out.weight", weights.out_weight, c * c, true},
      {"to_out.bias", weights.out_bias, c, false},
  };
  for (const NamedTensor& tensor : tensors) EDGEATTN_TRY(check_tensor(tensor));
  if (has_statistics)
    for (std::size_t i = 0; i < c; ++i)
      if (weights.running_var[i] < 0)
        return Status::error(StatusCode::kInvalidArgument, "weights: norm.running_var is negative at index ", i);
  return {};
}

/// A product of two weight matrices and the bias that goes with it: P[o, i] = factor·Σ_c left(o, c)·right[c, i] and
/// bias[o] = factor·Σ_c left(o, c)·inner_bias[c] + outer_bias[o].
struct Folded {
  const char* name;
  const float* left;
  std::size_t left_row;
  std::size_t left_depth;
  const float* right;
  const float* inner_bias;  ///< null for zero
  const float* outer_bias;  ///< null for zero
  double factor;
};

/// Folds in float64, rounds once, and packs as the weights of a C to C operator.
Status fold_and_pack(const Folded& folded, const PanelLayout& layout, const Kernels& kernels, float* packed) noexcept {
  constexpr std::size_t kRows = 4, kColumns = 32;
  const std::size_t channels = layout.inputs;
  std::fill_n(packed, layout.size(), 0.0f);
  bool all_finite = true;
  const auto store = [&](std::size_t offset, double value) {
    packed[offset] = static_cast<float>(value);
    all_finite = all_finite && finite(packed[offset]);
  };
  double sums[kRows * kColumns];
  for (std::size_t o = 0; o < channels; o += kRows) {
    const std::size_t rows = std::min(kRows, channels - o);
    const float* left = folded.left + o * folded.left_row;
    for (std::size_t i = 0; i < channels; i += kColumns) {
      const std::size_t columns = std::min(kColumns, channels - i);
      kernels.fold(left, folded.left_row, folded.left_depth, folded.right + i, channels, rows, columns, channels, sums);
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t k = 0; k < columns; ++k)
          store(layout.offset(i + k, o + r), folded.factor * sums[r * columns + k]);
    }
    std::fill_n(sums, kRows, 0.0);
    if (folded.inner_bias != nullptr)
      kernels.fold(left, folded.left_row, folded.left_depth, folded.inner_bias, 1, rows, 1, channels, sums);
    for (std::size_t r = 0; r < rows; ++r) {
      const double outer = folded.outer_bias != nullptr ? double{folded.outer_bias[o + r]} : 0.0;
      store(layout.bias_offset(o + r), folded.factor * sums[r] + outer);
    }
  }
  if (all_finite) return {};
  return Status::error(StatusCode::kInvalidArgument, "weights: ", folded.name, " overflows float32 when folded");
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
    if (!finite(scale[i]))
      return Status::error(StatusCode::kInvalidArgument, "weights: norm.weight / sqrt(norm.running_var + eps) ",
                           "overflows float32 at index ", i);
  }
  return {};
}

/// A plan of the prepared weights alone.
Status plan_prepared(const Spec& spec, const Gemm& gemm, Plan& plan) noexcept {
  EDGEATTN_TRY(check_spec(spec));
  if (gemm.probe == nullptr)
    return Status::error(StatusCode::kInvalidArgument, "gemm is empty: call gemm_traits first");
  plan.spec = spec;
  EDGEATTN_TRY(gemm.probe(spec.channels, spec.channels, plan.projection));
  map_prepared(plan);
  return {};
}

}  // namespace

Status prepared_bytes(const Spec& spec, const Gemm& gemm, std::size_t& bytes) noexcept {
  Plan plan;
  EDGEATTN_TRY(plan_prepared(spec, gemm, plan));
  bytes = plan.prepared_bytes;
  return {};
}

Status prepare(const Spec& spec, const Weights& weights, const Machine& machine, const Gemm& gemm,
               std::span<std::byte> memory, Prepared& prepared) noexcept {
  Plan plan;
  EDGEATTN_TRY(plan_prepared(spec, gemm, plan));
  EDGEATTN_TRY(check_span("prepared", memory, plan.prepared_bytes));
  EDGEATTN_TRY(check_weights(spec, weights));

  Isa isa = Isa::kScalar;
  EDGEATTN_TRY(choose_isa(Isa::kAuto, machine, isa));
  Kernels kernels;
  kernels_init(kernels, kernel_set(isa));

  const std::size_t c = spec.channels;
  const float* const query = weights.qkv_weight;
  const float* const key = query + c * c;
  const float* const value = key + c * c;
  const float* const bias = weights.qkv_bias;
  const double scale = spec.scale != 0 ? spec.scale : 1.0 / std::sqrt(static_cast<double>(c));
  const Folded score{.name = "to_qkv.weight (q and k)",
                     .left = key,
                     .left_row = 1,
                     .left_depth = c,
                     .right = query,
                     .inner_bias = bias,
                     .outer_bias = nullptr,
                     .factor = scale * std::numbers::log2e};
  const Folded out{.name = "to_qkv.weight (v) with to_out.weight",
                   .left = weights.out_weight,
                   .left_row = c,
                   .left_depth = 1,
                   .right = value,
                   .inner_bias = bias != nullptr ? bias + 2 * c : nullptr,
                   .outer_bias = weights.out_bias,
                   .factor = 1.0};
  float* const score_weight = floats_at(memory.data(), plan, region::kScoreWeights);
  float* const out_weight = floats_at(memory.data(), plan, region::kOutputWeights);
  float* const norm = floats_at(memory.data(), plan, region::kNorm);
  EDGEATTN_TRY(fold_and_pack(score, plan.projection, kernels, score_weight));
  EDGEATTN_TRY(fold_and_pack(out, plan.projection, kernels, out_weight));
  EDGEATTN_TRY(store_norm(spec, weights, norm));
  prepared = {.spec = spec,
              .projection = plan.projection,
              .score_weight = score_weight,
              .out_weight = out_weight,
              .norm = norm};
  return {};
}

}  // namespace edgeattn
