#pragma once

#include "for_lanes.h"

namespace edgeattn {

void EDGEATTN_KERNEL(accumulate)(float* acc, const float* mixed, const float* rescale, size_t rows, size_t channels,
                                 size_t stride) {
  for (size_t i = 0; i < rows; ++i, acc += stride, mixed += stride) {
    if (rescale[i] == 0.0f) {
      for_lanes(channels, [&](size_t c, auto mask) { store(acc + c, load(mixed + c, mask), mask); });
      continue;
    }
    const Vec factor = broadcast(rescale[i]);
    for_lanes(channels, [&](size_t c, auto mask) {
      store(acc + c, fused(load(acc + c, mask), factor, load(mixed + c, mask)), mask);
    });
  }
}

void EDGEATTN_KERNEL(normalize_rows)(float* acc, const float* row_sum, size_t rows, size_t channels, size_t stride) {
  for (size_t i = 0; i < rows; ++i, acc += stride) {
    const Vec factor = broadcast(1.0f / row_sum[i]);
    for_lanes(channels, [&](size_t c, auto mask) { store(acc + c, multiply(load(acc + c, mask), factor), mask); });
  }
}

/// Sums y·0, which is 0 or NaN.
void EDGEATTN_KERNEL(poison_rows)(const float* y, size_t rows, size_t channels, size_t stride, float* poison) {
  for (size_t i = 0; i < rows; ++i, y += stride) {
    Vec total = zero();
    for_lanes(channels, [&](size_t c, auto mask) { total = fused(load(y + c, mask), zero(), total); });
    poison[i] = sum(total);
  }
}

}  // namespace edgeattn
