#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>

#include "block/fold.h"
#include "block/spans.h"
#include "plan/memory_map.h"
#include "plan/spec.h"

namespace edgeattn {
namespace {

/// Writes tiles of a [C, C] matrix to where the operator of C to C looks for them.
void pack_tile(const PanelLayout& layout, const WeightTile& tile, float* packed) noexcept {
  for (std::size_t r = 0; r < tile.rows; ++r) {
    const float* const row = tile.values + r * tile.stride;
    const std::size_t output = tile.first_row + r;
    if (layout.plain()) {
      float* const column = packed + layout.offset(tile.first_column, output);
      for (std::size_t k = 0; k < tile.columns; ++k) column[k * layout.nr] = row[k];
    } else {
      for (std::size_t k = 0; k < tile.columns; ++k) packed[layout.offset(tile.first_column + k, output)] = row[k];
    }
  }
}

Status fold_and_pack(const Product& product, const PanelLayout& layout, const Kernels& kernels, float* packed) noexcept {
  return fold_product(
      product, layout.inputs, kernels, [&](const WeightTile& tile) { pack_tile(layout, tile, packed); },
      [&](std::size_t o, float value) { packed[layout.bias_offset(o)] = value; });
}

void pack(const float* weight, const float* bias, const PanelLayout& layout, float* packed) noexcept {
  // A panel's rows and a cache line's columns at a time, so that what is written stays in the first cache.
  constexpr std::size_t kColumns = 16;
  const std::size_t channels = layout.inputs;
  for (std::size_t o = 0; o < channels; o += layout.nr)
    for (std::size_t i = 0; i < channels; i += kColumns)
      pack_tile(layout,
                {.values = weight + o * channels + i,
                 .stride = channels,
                 .first_row = o,
                 .rows = std::min<std::size_t>(layout.nr, channels - o),
                 .first_column = i,
                 .columns = std::min(kColumns, channels - i)},
                packed);
  for (std::size_t o = 0; o < channels; ++o) packed[layout.bias_offset(o)] = bias != nullptr ? bias[o] : 0.0f;
}

/// Multiplies a packed matrix and its bias by `factor`. False if a value is not finite any more.
bool scale_packed(std::span<float> packed, double factor) noexcept {
  bool finite = true;
  for (float& value : packed) {
    value = static_cast<float>(value * factor);
    finite = finite && std::isfinite(value);
  }
  return finite;
}

/// With several heads nothing folds but biases and scale: bk adds to all scores of a query alike, which the softmax cancels,
/// and weights of a row sum to one, so that bv passes through: b' = Wo bv + bo.
Status pack_heads(const Spec& spec, const Weights& weights, const Plan& plan, std::byte* memory) noexcept {
  const PanelLayout& layout = plan.projection;
  const std::size_t c = spec.channels;
  const auto matrix = [&](std::string_view name) { return floats_at(memory, plan, name); };
  const float* const bias = weights.qkv_bias;
  float* const query_weight = matrix(region::kScoreWeights);
  pack(weights.qkv_weight, bias, layout, query_weight);
  if (!scale_packed({query_weight, layout.size()}, score_product(spec, weights).factor))
    return Status::error(StatusCode::kInvalidArgument, "weights: to_qkv.weight (q) overflows float32 when scaled");
  for (const char* name : {region::kKeyWeights, region::kValueWeights})
    std::fill_n(matrix(name), layout.size(), 0.0f);
  pack(weights.qkv_weight + c * c, nullptr, layout, matrix(region::kKeyWeights));
  pack(weights.qkv_weight + 2 * c * c, nullptr, layout, matrix(region::kValueWeights));

  float* const out_weight = matrix(region::kOutputWeights);
  pack(weights.out_weight, nullptr, layout, out_weight);
  for (std::size_t o = 0; o < c; ++o) {
    double sum = weights.out_bias != nullptr ? double{weights.out_bias[o]} : 0.0;
    for (std::size_t i = 0; bias != nullptr && i < c; ++i)
      sum += double{weights.out_weight[o * c + i]} * double{bias[2 * c + i]};
    float& folded = out_weight[layout.bias_offset(o)];
    folded = static_cast<float>(sum);
    if (!std::isfinite(folded))
      return Status::error(StatusCode::kInvalidArgument, "weights: to_qkv.bias (v) with to_out overflows float32 when folded");
  }
  float* const identity = matrix(region::kIdentity);
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

  const PanelLayout& layout = plan.projection;
  float* const score_weight = floats_at(memory.data(), plan, region::kScoreWeights);
  float* const out_weight = floats_at(memory.data(), plan, region::kOutputWeights);
  float* const norm = floats_at(memory.data(), plan, region::kNorm);
  std::fill_n(score_weight, layout.size(), 0.0f);
  std::fill_n(out_weight, layout.size(), 0.0f);
  if (spec.heads > 1) {
    EDGEATTN_TRY(pack_heads(spec, weights, plan, memory.data()));
  } else if (weights.score_weight != nullptr) {
    pack(weights.score_weight, weights.score_bias, layout, score_weight);
    pack(weights.out_weight, weights.out_bias, layout, out_weight);
  } else {
    Kernels kernels;
    EDGEATTN_TRY(best_kernels(machine, kernels));
    EDGEATTN_TRY(fold_and_pack(score_product(spec, weights), layout, kernels, score_weight));
    EDGEATTN_TRY(fold_and_pack(out_product(spec, weights), layout, kernels, out_weight));
  }
  EDGEATTN_TRY(store_norm(spec, weights, norm));
  prepared = {.spec = spec,
              .projection = layout,
              .score_weight = score_weight,
              .out_weight = out_weight,
              .norm = norm};
  if (spec.heads > 1) {
    prepared.key_weight = floats_at(memory.data(), plan, region::kKeyWeights);
    prepared.value_weight = floats_at(memory.data(), plan, region::kValueWeights);
    prepared.identity = floats_at(memory.data(), plan, region::kIdentity);
  }
  return {};
}

}  // namespace edgeattn
