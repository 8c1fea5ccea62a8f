#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "half.h"
#include "reduced_panels.h"

namespace edgeattn {
namespace {

/// 1.5·2²³: added to |x| < 2²², it leaves the integer nearest to x, ties to even, in the low bits.
constexpr float kRounder = 12582912.0f;

std::int8_t to_int8(float value) { return static_cast<std::int8_t>(std::bit_cast<std::uint32_t>(value + kRounder) & 0xFF); }

/// max |value|, as the bits of a float: those of a number that is not finite are the largest.
template <class Values>
std::uint32_t largest_magnitude(std::size_t count, Values value) {
  std::uint32_t largest = 0;
  for (std::size_t c = 0; c < count; ++c) largest = std::max(largest, std::bit_cast<std::uint32_t>(value(c)) & 0x7FFFFFFF);
  return largest;
}

}  // namespace

void round_rows_scalar(const float* rows, const float* sum, std::size_t count, std::size_t channels, std::size_t stride, Half* out,
                       std::size_t out_stride) {
  for (std::size_t i = 0; i < count; ++i, rows += stride, out += out_stride) {
    const float factor = sum == nullptr ? 1.0f : 1.0f / sum[i];
    for (std::size_t c = 0; c < channels; ++c) out[c] = scalar::round_to_bf16(rows[c] * factor);
    std::fill(out + channels, out + padded_row<Half>(channels), Half{0});
  }
}

void quantize_rows_scalar(const float* rows, const float* center, std::size_t count, std::size_t channels, std::size_t stride,
                          std::uint8_t flip, std::uint8_t* out, std::size_t out_stride, float* scales, std::int32_t* sums) {
  for (std::size_t i = 0; i < count; ++i, rows += stride, out += out_stride) {
    const auto centered = [&](std::size_t c) { return center == nullptr ? rows[c] : rows[c] - center[c]; };
    const std::uint32_t bits = largest_magnitude(channels, centered);
    const float largest = std::bit_cast<float>(bits);
    const bool vanishes = largest < kSmallestQuantized;
    const float factor = vanishes ? 0.0f : 127.0f / largest;
    const float scale = vanishes ? 0.0f : largest / 127.0f;
    scales[i] = bits < 0x7F800000 ? scale : std::numeric_limits<float>::quiet_NaN();
    std::int32_t sum = 0;
    for (std::size_t c = 0; c < channels; ++c) {
      const std::int8_t quantized = to_int8(centered(c) * factor);
      sum += quantized;
      out[c] = static_cast<std::uint8_t>(static_cast<std::uint8_t>(quantized) ^ flip);
    }
    std::fill(out + channels, out + padded_row<std::uint8_t>(channels), std::uint8_t{0});
    if (sums != nullptr) sums[i] = sum;
  }
}

}  // namespace edgeattn
