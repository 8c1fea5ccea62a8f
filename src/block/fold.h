#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>

#include "block/parallel.h"
#include "edgeattn/block.h"
#include "kernels.h"
#include "plan/sizes.h"

namespace edgeattn {

/// Whether `weights` holds what `spec` needs, all of it finite. kInvalidArgument names the tensor.
Status check_weights(const Spec& spec, const Weights& weights) noexcept;

/// A product of two weight matrices and the bias that goes with it: P[o, i] = factor·Σ_c left(o, c)·right[c, i] and
/// bias[o] = factor·Σ_c left(o, c)·inner_bias[c] + outer_bias[o].
struct Product {
  const char* name;
  const float* left;
  std::size_t left_row;
  std::size_t left_term;
  const float* right;
  const float* inner_bias;  ///< null for zero
  const float* outer_bias;  ///< null for zero
  double factor;
};

/// A and u, and M and b', of weights as trained.
Product score_product(const Spec& spec, const Weights& weights) noexcept;
Product out_product(const Spec& spec, const Weights& weights) noexcept;

/// The machine's best kernels.
Status best_kernels(const Machine& machine, Kernels& kernels) noexcept;

/// A piece of a row of a [C, C] matrix.
struct WeightRow {
  const float* values;
  std::size_t row;
  std::size_t first_column, columns;
};

/// Up to kFoldRows rows of a product from `first_row` on, and of these up to kFoldColumns columns from `first_column` on, in float64.
/// Past the last column comes one of the bias.
class ProductTile {
 public:
  ProductTile(const Product& product, std::size_t channels, const Kernels& kernels, std::size_t first_row,
              std::size_t first_column) noexcept;

  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t columns() const noexcept { return columns_; }
  /// Rounds what `row` comes to, factor and outer bias included. Whether all of it is finite.
  bool round(std::size_t row, float* values) const noexcept;

 private:
  double factor_;
  std::size_t rows_, columns_;
  const float* outer_bias_;
  alignas(64) double sums_[kFoldRows * kFoldColumns];
  alignas(64) double factors_[kFoldTerms * (kFoldRows + kFoldColumns)];
};

/// All threads of a pool, or the calling one.
inline Team whole_team(pthreadpool_t pool) noexcept {
  return {.pool = pool, .first = 0, .slots = pool != nullptr ? pthreadpool_get_threads_count(pool) : 1};
}

/// Computes `product` in float64, rounds once, and gives it away in pieces, from all threads of the team: `matrix(WeightRow)`,
/// `bias(o, value)`. Every element is one sum, so that bits do not depend on the team.
template <class Matrix, class Bias>
Status fold_product(const Product& product, std::size_t channels, const Kernels& kernels, const Team& team, Matrix matrix,
                    Bias bias) noexcept {
  const std::size_t across = sizes::divide_up(channels, kFoldColumns) + 1;
  std::atomic<bool> finite{true};
  for_each_claimed(team, sizes::divide_up(channels, kFoldRows) * across, [&](std::size_t, std::size_t item) {
    const std::size_t first_row = item / across * kFoldRows, first_column = item % across * kFoldColumns;
    const ProductTile tile(product, channels, kernels, first_row, first_column);
    float values[kFoldColumns];
    for (std::size_t r = 0; r < tile.rows(); ++r) {
      if (!tile.round(r, values)) finite.store(false, std::memory_order_relaxed);
      if (first_column >= channels) bias(first_row + r, values[0]);
      else matrix(WeightRow{.values = values, .row = first_row + r, .first_column = first_column, .columns = tile.columns()});
    }
  });
  if (finite.load(std::memory_order_relaxed)) return {};
  return Status::error(StatusCode::kInvalidArgument, "weights: ", product.name, " overflows float32 when folded");
}

}  // namespace edgeattn
