#include "block/fold.h"

#include <numbers>

#include "float_scope.h"
#include "plan/isa.h"
#include "plan/spec.h"

namespace edgeattn {
namespace {

Status check_size(const char* name, std::span<float> span, std::size_t required) noexcept {
  if (span.size() >= required) return {};
  return Status::error(StatusCode::kTooSmall, "the ", name, " span is too small: ", required, " values required, ",
                       span.size(), " given");
}

Status fold_into(const Product& product, std::size_t channels, const Kernels& kernels, float* weight,
                 float* bias) noexcept {
  const auto copy = [&](const WeightTile& tile) {
    float* const first = weight + tile.first_row * channels + tile.first_column;
    for (std::size_t r = 0; r < tile.rows; ++r)
      std::copy_n(tile.values + r * tile.stride, tile.columns, first + r * channels);
  };
  return fold_product(product, channels, kernels, copy, [&](std::size_t o, float value) { bias[o] = value; });
}

}  // namespace

Product score_product(const Spec& spec, const Weights& weights) noexcept {
  const std::size_t c = spec.channels;
  const double scale = spec.scale != 0 ? spec.scale : 1.0 / std::sqrt(static_cast<double>(spec.head_channels()));
  return {.name = "to_qkv.weight (q and k)",
          .left = weights.qkv_weight + c * c,
          .left_row = 1,
          .left_depth = c,
          .right = weights.qkv_weight,
          .inner_bias = weights.qkv_bias,
          .outer_bias = nullptr,
          .factor = scale * std::numbers::log2e};
}

Product out_product(const Spec& spec, const Weights& weights) noexcept {
  const std::size_t c = spec.channels;
  return {.name = "to_qkv.weight (v) with to_out.weight",
          .left = weights.out_weight,
          .left_row = c,
          .left_depth = 1,
          .right = weights.qkv_weight + 2 * c * c,
          .inner_bias = weights.qkv_bias != nullptr ? weights.qkv_bias + 2 * c : nullptr,
          .outer_bias = weights.out_bias,
          .factor = 1.0};
}

Status best_kernels(const Machine& machine, Kernels& kernels) noexcept {
  Isa isa = Isa::kScalar;
  EDGEATTN_TRY(choose_isa(Isa::kAuto, machine, isa));
  kernels_init(kernels, kernel_set(isa));
  return {};
}

Status fold(const Spec& spec, const Weights& weights, const Machine& machine, const FoldedSpans& folded) noexcept {
  const FloatScope scope(Denormals::kKept);
  EDGEATTN_TRY(check_spec(spec));
  EDGEATTN_TRY(check_weights(spec, weights));
  if (spec.heads > 1)
    return Status::error(StatusCode::kUnsupported, "only weights of one head fold, the spec has ", spec.heads, " heads");
  if (weights.score_weight != nullptr)
    return Status::error(StatusCode::kInvalidArgument, "weights: they are folded already");
  const std::size_t c = spec.channels;
  EDGEATTN_TRY(check_size("score_weight", folded.score_weight, c * c));
  EDGEATTN_TRY(check_size("score_bias", folded.score_bias, c));
  EDGEATTN_TRY(check_size("out_weight", folded.out_weight, c * c));
  EDGEATTN_TRY(check_size("out_bias", folded.out_bias, c));
  Kernels kernels;
  EDGEATTN_TRY(best_kernels(machine, kernels));
  EDGEATTN_TRY(fold_into(score_product(spec, weights), c, kernels, folded.score_weight.data(), folded.score_bias.data()));
  return fold_into(out_product(spec, weights), c, kernels, folded.out_weight.data(), folded.out_bias.data());
}

}  // namespace edgeattn
