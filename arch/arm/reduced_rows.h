#pragma once

#include "../simd/softmax_rows.h"
#include "reduced_panels.h"

/// Rows of 8-bit and of 16-bit elements, made of rows of float32. The including source brings in neon.h, and to_half(), which
/// rounds one vector or two.
namespace edgeattn {
namespace {

/// As 16-bit elements. With a mask, zeros follow up to a whole vector.
inline void store(Half* to, Vec v, All) { vst1_u16(to, to_half(v)); }
inline void store(Half* to, Vec v, Mask mask) { vst1_u16(to, to_half(keep(v, mask))); }

/// Calls body(first, mask of the low half, of the high half) for every eight of `count` consecutive elements.
template <class Body>
[[gnu::always_inline]] inline void for_eights(size_t count, Body body) {
  size_t first = 0;
  for (; first + 2 * kLanes <= count; first += 2 * kLanes) body(first, All{}, All{});
  const size_t left = count - first;
  if (left > kLanes) {
    body(first, All{}, lanes(0, left - kLanes));
  } else if (left > 0) {
    body(first, lanes(0, left), lanes(0, 0));
  }
}

/// The nearest integers in two's complement; ties to even. Saturates.
inline int8x16_t to_bytes(const Vec (&v)[4]) {
  int16x4_t narrow[4];
  for (size_t i = 0; i < 4; ++i) narrow[i] = vqmovn_s32(vcvtnq_s32_f32(v[i]));
  return vcombine_s8(vqmovn_s16(vcombine_s16(narrow[0], narrow[1])), vqmovn_s16(vcombine_s16(narrow[2], narrow[3])));
}

/// Four vectors of a row less its center, both from their first element on; zeros past `count` of them.
template <bool kCentered>
[[gnu::always_inline]] inline void load_centered(const float* row, const float* center, size_t count, Vec (&v)[4]) {
  const auto load_vector = [&](size_t i, auto mask) {
    v[i] = load(row + i * kLanes, mask);
    if constexpr (kCentered) v[i] = subtract(v[i], load(center + i * kLanes, mask));
  };
  for (size_t i = 0; i < 4; ++i) {
    if (count >= (i + 1) * kLanes) {
      load_vector(i, All{});
    } else {
      load_vector(i, lanes(0, count > i * kLanes ? count - i * kLanes : 0));
    }
  }
}

/// Calls body(first, v, how many are of the row) for every sixteen elements of a row less its center.
template <bool kCentered, class Body>
[[gnu::always_inline]] inline void for_centered(const float* row, const float* center, size_t channels, Body body) {
  constexpr size_t kBytes = sizeof(uint8x16_t);
  const auto visit = [&](size_t c, size_t count) __attribute__((always_inline)) {
    Vec v[4];
    load_centered<kCentered>(row + c, kCentered ? center + c : nullptr, count, v);
    body(c, v, count);
  };
  size_t c = 0;
  for (; c + kBytes <= channels; c += kBytes) visit(c, kBytes);
  if (c < channels) visit(c, channels - c);
}

/// max |v|; NaN where one is NaN.
template <bool kCentered>
inline float largest_magnitude(const float* row, const float* center, size_t channels) {
  Vec largest[4] = {zero(), zero(), zero(), zero()};
  for_centered<kCentered>(row, center, channels, [&](size_t, const Vec (&v)[4], size_t) {
    for (size_t i = 0; i < 4; ++i) largest[i] = vmaxq_f32(largest[i], vabsq_f32(v[i]));
  });
  return vmaxvq_f32(vmaxq_f32(vmaxq_f32(largest[0], largest[1]), vmaxq_f32(largest[2], largest[3])));
}

/// All bits of the first `count` bytes.
inline uint8x16_t first_bytes(size_t count) {
  const uint8x16_t index = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return vcltq_u8(index, vdupq_n_u8(static_cast<uint8_t>(count)));
}

/// Writes round(v·factor) ^ flip, and returns the sum of the rounded ones.
template <bool kCentered>
inline int32_t quantize_row(const float* row, const float* center, size_t channels, float factor, uint8_t flip, uint8_t* out) {
  int32x4_t sums = vdupq_n_s32(0);
  for_centered<kCentered>(row, center, channels, [&](size_t c, Vec (&v)[4], size_t count) {
    for (Vec& vector : v) vector = multiply(vector, broadcast(factor));
    const int8x16_t bytes = to_bytes(v);
    sums = vpadalq_s16(sums, vpaddlq_s8(bytes));
    const uint8x16_t flipped = vandq_u8(vdupq_n_u8(flip), first_bytes(count));
    vst1q_u8(out + c, veorq_u8(vreinterpretq_u8_s8(bytes), flipped));
  });
  return vaddvq_s32(sums);
}

template <bool kCentered>
inline void quantize(const float* rows, const float* center, size_t count, size_t channels, size_t stride, uint8_t flip,
                     uint8_t* out, size_t out_stride, float* scales, int32_t* sums) {
  for (size_t i = 0; i < count; ++i, rows += stride, out += out_stride) {
    const float most = largest_magnitude<kCentered>(rows, center, channels);
    const bool vanishes = most < kSmallestQuantized;
    const bool finite = most < __builtin_inff();
    scales[i] = vanishes ? 0 : finite ? most / 127 : __builtin_nanf("");
    const int32_t sum = quantize_row<kCentered>(rows, center, channels, vanishes ? 0 : 127 / most, flip, out);
    if (sums != nullptr) sums[i] = sum;
  }
}

}  // namespace

void EDGEATTN_KERNEL(round_rows)(const float* rows, const float* row_sum, size_t count, size_t channels, size_t stride,
                                 Half* out, size_t out_stride) {
  for (size_t i = 0; i < count; ++i, rows += stride, out += out_stride) {
    const Vec factor = broadcast(row_sum == nullptr ? 1 : 1 / row_sum[i]);
    for_eights(channels, [&](size_t c, auto low, auto high) {
      const Vec first = multiply(load(rows + c, low), factor), second = multiply(load(rows + c + kLanes, high), factor);
      vst1q_u16(out + c, to_half(keep(first, low), keep(second, high)));
    });
  }
}

void EDGEATTN_KERNEL(quantize_rows)(const float* rows, const float* center, size_t count, size_t channels, size_t stride,
                                    uint8_t flip, uint8_t* out, size_t out_stride, float* scales, int32_t* sums) {
  const auto variant = center == nullptr ? quantize<false> : quantize<true>;
  variant(rows, center, count, channels, stride, flip, out, out_stride, scales, sums);
}

/// Padding that no vector reached is four elements.
void EDGEATTN_KERNEL(softmax_half)(const float* scores, size_t rows, size_t keys, size_t stride, float* row_max, float* row_sum,
                                   float* rescale, Half* weights, size_t weight_stride) {
  softmax_rows(scores, rows, keys, stride, row_max, row_sum, rescale, weights, weight_stride);
  const size_t written = round_up(keys, kLanes);
  if (written == padded_row<Half>(keys)) return;
  for (size_t i = 0; i < rows; ++i) vst1_u16(weights + i * weight_stride + written, vdup_n_u16(0));
}

}  // namespace edgeattn
