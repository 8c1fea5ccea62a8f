#pragma once

#include "../simd/transpose_bands.h"
#include "reduced_avx512.h"

namespace edgeattn {
namespace {

/// Groups are lanes, so that rows become columns by a transposition.
inline void transpose_groups(const uint8_t* rows, size_t stride_bytes, size_t count, size_t padded, size_t groups, uint8_t* columns,
                             size_t nr) {
  auto* const out = reinterpret_cast<float*>(columns);
  transpose_bands<false>({reinterpret_cast<const float*>(rows), stride_bytes / kGroup, out, nr}, count, groups, kCachedBand);
  for (size_t g = 0; count < padded && g < groups; ++g)
    for_lanes(padded - count, [&](size_t t, auto mask) { store(out + g * nr + count + t, zero(), mask); });
}

inline Ints load_halves(const Half* from, Mask mask) {
  return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from));
}

}  // namespace

void EDGEATTN_KERNEL(pack_half_columns)(const uint8_t* rows, size_t stride_bytes, size_t count, size_t padded, size_t groups,
                                        uint8_t* columns, size_t nr) {
  transpose_groups(rows, stride_bytes, count, padded, groups, columns, nr);
}

void EDGEATTN_KERNEL(pack_int8_columns)(const uint8_t* rows, size_t stride_bytes, size_t count, size_t padded, size_t groups,
                                        uint8_t* columns, size_t nr) {
  transpose_groups(rows, stride_bytes, count, padded, groups, columns, nr);
}

void EDGEATTN_KERNEL(pack_rows)(const Half* rows, size_t count, size_t channels, size_t stride, const ReducedPanels& values,
                                size_t first_token) {
  for (size_t first = 0; first < channels; first += kNr) {
    const PanelMasks masks(channels - first);
    if (first_token == 0) {
      auto* const biases = reinterpret_cast<float*>(values.data + first / kNr * values.panel_bytes);
      for (size_t v = 0; v < kVectors; ++v) store(biases + v * kLanes, zero(), All{});
    }
    Half* group = half_groups(values, first_token, first);
    for (size_t t = 0; t < count; t += 2, group += 2 * kNr) {
      const Half* const even = rows + t * stride + first;
      for (size_t v = 0; v < kVectors; ++v) {
        Ints pairs = load_halves(even + v * kLanes, masks[v]);
        if (t + 1 < count) pairs = _mm512_or_si512(pairs, _mm512_slli_epi32(load_halves(even + stride + v * kLanes, masks[v]), 16));
        _mm512_store_si512(group + 2 * v * kLanes, pairs);
      }
    }
  }
}

/// Columns past the last channel are zeros, as the padding of rows must be.
void EDGEATTN_KERNEL(unpack_half_rows)(const ReducedPanels& values, size_t first_token, size_t count, size_t channels, Half* out,
                                       size_t out_stride) {
  const size_t padded = padded_row<Half>(channels);
  for (size_t t = first_token; t < first_token + count; ++t, out += out_stride) {
    const __m128i shift = _mm_cvtsi32_si128(t % 2 == 0 ? 0 : 16);
    for (size_t first = 0; first < padded; first += kNr) {
      const PanelMasks masks(padded - first);
      const Half* const group = half_groups(values, t - t % 2, first);
      for (size_t v = 0; v < kVectors; ++v) {
        const Ints pairs = _mm512_load_si512(group + 2 * v * kLanes);
        const __m256i halves = _mm512_cvtepi32_epi16(_mm512_srl_epi32(pairs, shift));
        _mm256_mask_storeu_epi16(out + first + v * kLanes, masks[v], halves);
      }
    }
  }
}

}  // namespace edgeattn
