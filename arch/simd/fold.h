#pragma once

#include "for_lanes.h"

namespace edgeattn {

/// Products of floats are exact in float64, so that fused or not makes no difference.
void EDGEATTN_KERNEL(fold)(const float* left, size_t left_row, size_t left_depth, const float* right, size_t right_row,
                           size_t rows, size_t columns, size_t depth, double* out) {
  constexpr size_t kRows = 4;
  constexpr size_t kVectors = 2;
  constexpr size_t kColumns = kVectors * kWideLanes;
  const float* sources[kRows];
  for (size_t i = 0; i < kRows; ++i) sources[i] = left + (i < rows ? i : 0) * left_row;

  for (size_t first = 0; first < columns; first += kColumns) {
    const size_t live = smaller_of(columns - first, kColumns);
    const WideMask masks[kVectors] = {wide_lanes(live), wide_lanes(live > kWideLanes ? live - kWideLanes : 0)};
    Wide sums[kRows][kVectors];
    for (size_t i = 0; i < kRows; ++i)
      for (size_t v = 0; v < kVectors; ++v) sums[i][v] = wide_zero();
    for (size_t k = 0; k < depth; ++k) {
      const float* const across = right + k * right_row + first;
      const Wide factors[kVectors] = {load_wide(across, masks[0]), load_wide(across + kWideLanes, masks[1])};
      for (size_t i = 0; i < kRows; ++i) {
        const Wide down = wide_broadcast(static_cast<double>(sources[i][k * left_depth]));
        for (size_t v = 0; v < kVectors; ++v) sums[i][v] = fused(down, factors[v], sums[i][v]);
      }
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < kRows; ++i) {
      if (i >= rows) break;
      double row[kColumns];
      for (size_t v = 0; v < kVectors; ++v) store(row + v * kWideLanes, sums[i][v]);
      for (size_t j = 0; j < live; ++j) out[i * columns + first + j] = row[j];
    }
  }
}

}  // namespace edgeattn
