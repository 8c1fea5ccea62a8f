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

Status fold_into(const Product& product, std::size_t channels, const Kernels& kernels, const Team& team, float* weight,
                 float* bias) noexcept {
  const auto copy = [&](const WeightRow& row) {
    std::copy_n(row.values, row.columns, weight + row.row * channels + row.first_column);
  };
  return fold_product(product, channels, kernels, team, copy, [&](std::size_t o, float value) { bias[o] = value; });
}

}  // namespace

ProductTile::ProductTile(const Product& product, std::size_t channels, const Kernels& kernels, std::size_t first_row,
                         std::size_t first_column) noexcept
    : factor_(product.factor),
      rows_(std::min(kFoldRows, channels - first_row)),
      columns_(first_column < channels ? std::min(kFoldColumns, channels - first_column) : 1),
      outer_bias_(first_column >= channels && product.outer_bias != nullptr ? product.outer_bias + first_row : nullptr) {
  const bool is_bias = first_column >= channels;
  if (is_bias && product.inner_bias == nullptr) {
    std::fill_n(sums_, std::size(sums_), 0.0);
    return;
  }
  kernels.fold({.left = product.left + first_row * product.left_row,
                .left_row = product.left_row,
                .left_term = product.left_term,
                .right = is_bias ? product.inner_bias : product.right + first_column,
                .right_term = is_bias ? 1 : channels,
                .rows = rows_,
                .columns = columns_,
                .terms = channels,
                .sums = sums_,
                .factors = factors_});
}

bool ProductTile::round(std::size_t row, float* values) const noexcept {
  bool finite = true;
  for (std::size_t i = 0; i < columns_; ++i) {
    double value = factor_ * sums_[row * kFoldColumns + i];
    if (outer_bias_ != nullptr) value += double{outer_bias_[row]};
    values[i] = static_cast<float>(value);
    finite = finite && std::isfinite(values[i]);
  }
  return finite;
}

Product score_product(const Spec& spec, const Weights& weights) noexcept {
  const std::size_t c = spec.channels;
  const double scale = spec.scale != 0 ? spec.scale : 1.0 / std::sqrt(static_cast<double>(spec.head_channels()));
  return {.name = "to_qkv.weight (q and k)",
          .left = weights.qkv_weight + c * c,
          .left_row = 1,
          .left_term = c,
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
          .left_term = 1,
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

Status fold(const Spec& spec, const Weights& weights, const Machine& machine, const FoldedSpans& folded,
            pthreadpool_t pool) noexcept {
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
  const Team team = whole_team(pool);
  EDGEATTN_TRY(
      fold_into(score_product(spec, weights), c, kernels, team, folded.score_weight.data(), folded.score_bias.data()));
  return fold_into(out_product(spec, weights), c, kernels, team, folded.out_weight.data(), folded.out_bias.data());
}

}  // namespace edgeattn
