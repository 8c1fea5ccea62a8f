#pragma once

#include "avx512.h"
#include "../reduced_panels.h"

/// More words, for kernels of reduced precision: AVX-512 BF16.
namespace edgeattn {
namespace {

/// Columns of a panel, and what the products work on at once.
constexpr size_t kNr = 64;
constexpr size_t kVectors = kNr / kLanes;
constexpr size_t kMr = 6;
/// Bytes of a group, whatever its elements: one lane.
constexpr size_t kGroup = 4;

/// Rounds to bfloat16. With a mask, zeros follow up to the next multiple of kRowUnit bytes.
inline void store(Half* to, Vec v, All) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v)));
}
inline void store(Half* to, Vec v, Mask mask) {
  const Mask padded = mask > 0xFF ? 0xFFFF : 0xFF;
  _mm256_mask_storeu_epi16(to, padded, reinterpret_cast<__m256i>(_mm512_maskz_cvtneps_pbh(mask, v)));
}

/// The larger magnitude of v and of `best`, which is one already; NaN is larger than inf.
inline Vec larger_magnitude(Vec v, Vec best) {
  return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(_mm512_abs_ps(v)), _mm512_castps_si512(best)));
}
inline float largest_magnitude(Vec v) {
  const int bits = _mm512_reduce_max_epi32(_mm512_castps_si512(v));
  float magnitude;
  __builtin_memcpy(&magnitude, &bits, sizeof magnitude);
  return magnitude;
}

using Ints = __m512i;
inline Ints no_ints() { return _mm512_setzero_si512(); }
inline Ints add(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
inline int32_t sum(Ints v) { return _mm512_reduce_add_epi32(v); }
/// To nearest, ties to even; unspecified beyond int32.
inline Ints nearest_ints(Vec v) { return _mm512_cvtps_epi32(v); }
/// Stores the low bytes, exclusive or `flip`. With a mask, zeros follow up to the next multiple of kRowUnit bytes.
inline void store_bytes(uint8_t* to, Ints v, uint8_t flip, All) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(_mm512_xor_si512(v, _mm512_set1_epi32(flip))));
}
inline void store_bytes(uint8_t* to, Ints v, uint8_t flip, Mask mask) {
  const Ints flipped = _mm512_xor_si512(v, _mm512_set1_epi32(flip));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_maskz_cvtepi32_epi8(mask, flipped));
}

/// The columns of a panel that lie before the last output.
struct PanelMasks {
  explicit PanelMasks(size_t live) {
    for (size_t v = 0; v < kVectors; ++v) masks[v] = lanes(0, live > v * kLanes ? live - v * kLanes : 0);
  }
  Mask operator[](size_t v) const { return masks[v]; }
  Mask masks[kVectors];
};

}  // namespace
}  // namespace edgeattn
