#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "kernels.h"

namespace edgeattn {

void accumulate_scalar(float* acc, const float* mixed, const float* rescale, std::size_t rows, std::size_t channels,
                       std::size_t stride) {
  for (std::size_t i = 0; i < rows; ++i, acc += stride, mixed += stride) {
    const float factor = rescale[i];
    if (factor == 0.0f) {
      std::copy_n(mixed, channels, acc);
    } else {
      for (std::size_t c = 0; c < channels; ++c) acc[c] = acc[c] * factor + mixed[c];
    }
  }
}

void normalize_rows_scalar(float* acc, const float* sum, std::size_t rows, std::size_t channels, std::size_t stride) {
  for (std::size_t i = 0; i < rows; ++i, acc += stride) {
    const float factor = 1.0f / sum[i];
    for (std::size_t c = 0; c < channels; ++c) acc[c] *= factor;
  }
}

void poison_rows_scalar(const float* y, std::size_t rows, std::size_t channels, std::size_t stride, float* poison) {
  constexpr std::int32_t kInfinityBits = 0x7F800000;
  for (std::size_t i = 0; i < rows; ++i, y += stride) {
    std::int32_t largest = 0;
    for (std::size_t c = 0; c < channels; ++c)
      largest = std::max(largest, std::bit_cast<std::int32_t>(y[c]) & std::numeric_limits<std::int32_t>::max());
    poison[i] = largest < kInfinityBits ? 0.0f : std::numeric_limits<float>::quiet_NaN();
  }
}

}  // namespace edgeattn
