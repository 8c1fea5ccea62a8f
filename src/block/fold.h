#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "edgeattn/block.h"
#include "kernels.h"

namespace edgeattn {

/// Whether `weights` holds what `spec` needs, all of it finite. kInvalidArgument names the tensor.
Status check_weights(const Spec& spec, const Weights& weights) noexcept;

/// A product of two weight matrices and the bias that goes with it: P[o, i] = factor·Σ_c left(o, c)·right[c, i] and
/// bias[o] = factor·Σ_c left(o, c)·inner_bias[c] + outer_bias[o].
struct Product {
  const char* name;
  const float* left;
  std::size_t left_row;
  std::size_t left_depth;
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

/// A part of a [C, C] matrix in rows of its own.
struct WeightTile {
  const float* values;
  std::size_t stride;
  std::size_t first_row, rows;
  std::size_t first_column, columns;
};

/// Computes `product` in float64, rounds once, and gives it away in pieces: `matrix(WeightTile)`, `bias(o, value)`.
template <class Matrix, class Bias>
Status fold_product(const Product& product, std::size_t channels, const Kernels& kernels, Matrix matrix,
                    Bias bias) noexcept {
  constexpr std::size_t kRows = 4, kColumns = 32;
  double sums[kRows * kColumns];
  float rounded[kRows * kColumns];
  bool finite = true;
  const auto round = [&](double value) {
    const auto result = static_cast<float>(value);
    finite = finite && std::isfinite(result);
    return result;
  };
  for (std::size_t o = 0; o < channels; o += kRows) {
    const std::size_t rows = std::min(kRows, channels - o);
    const float* const left = product.left + o * product.left_row;
    for (std::size_t i = 0; i < channels; i += kColumns) {
      const std::size_t columns = std::min(kColumns, channels - i);
      kernels.fold(left, product.left_row, product.left_depth, product.right + i, channels, rows, columns, channels,
                   sums);
      std::transform(sums, sums + rows * columns, rounded, [&](double sum) { return round(product.factor * sum); });
      matrix(WeightTile{.values = rounded,
                        .stride = columns,
                        .first_row = o,
                        .rows = rows,
                        .first_column = i,
                        .columns = columns});
    }
    std::fill_n(sums, kRows, 0.0);
    if (product.inner_bias != nullptr)
      kernels.fold(left, product.left_row, product.left_depth, product.inner_bias, 1, rows, 1, channels, sums);
    for (std::size_t r = 0; r < rows; ++r) {
      const double outer = product.outer_bias != nullptr ? double{product.outer_bias[o + r]} : 0.0;
      bias(o + r, round(product.factor * sums[r] + outer));
    }
  }
  if (finite) return {};
  return Status::error(StatusCode::kInvalidArgument, "weights: ", product.name, " overflows float32 when folded");
}

}  // namespace edgeattn
