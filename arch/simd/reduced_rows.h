#pragma once

#include "for_lanes.h"

namespace edgeattn {

void EDGEATTN_KERNEL(round_rows)(const float* rows, const float* row_sum, size_t count, size_t channels, size_t stride, Half* out,
                                 size_t out_stride) {
  for (size_t i = 0; i < count; ++i, rows += stride, out += out_stride) {
    const Vec factor = broadcast(row_sum == nullptr ? 1.0f : 1.0f / row_sum[i]);
    for_lanes(channels, [&](size_t c, auto mask) { store(out + c, multiply(load(rows + c, mask), factor), mask); });
  }
}

/// Magnitudes are compared as integers, in whose order those that are not finite come last.
void EDGEATTN_KERNEL(quantize_rows)(const float* rows, const float* center, size_t count, size_t channels, size_t stride,
                                    uint8_t flip, uint8_t* out, size_t out_stride, float* scales, int32_t* sums) {
  for (size_t i = 0; i < count; ++i, rows += stride, out += out_stride) {
    const auto centered = [&](size_t c, auto mask) {
      const Vec value = load(rows + c, mask);
      return center == nullptr ? value : subtract(value, load(center + c, mask));
    };
    Vec magnitudes = zero();
    for_lanes(channels, [&](size_t c, auto mask) { magnitudes = larger_magnitude(centered(c, mask), magnitudes); });
    const float largest = largest_magnitude(magnitudes);
    const bool finite = largest * 0.0f == 0.0f;
    const bool vanishes = largest < kSmallestQuantized;
    const float scale = vanishes ? 0.0f : largest / 127.0f;
    scales[i] = finite ? scale : __builtin_nanf("");
    const Vec factor = broadcast(vanishes ? 0.0f : 127.0f / largest);
    Ints total = no_ints();
    for_lanes(channels, [&](size_t c, auto mask) {
      const Ints quantized = nearest_ints(multiply(centered(c, mask), factor));
      total = add(total, quantized);
      store_bytes(out + c, quantized, flip, mask);
    });
    if (sums != nullptr) sums[i] = finite ? sum(total) : 0;
  }
}

}  // namespace edgeattn
