#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "../exp2_polynomial.h"

/// The vocabulary that the kernels of arch/simd/ are written in, for AVX2 + FMA. avx512.h offers the same words.
///
/// A mask chooses lanes; lanes outside it load as zero and are neither read nor written in memory. `All` is the mask
/// that costs nothing. "Wide" means float64, half as many lanes.
#define EDGEATTN_KERNEL(op) op##_avx2

namespace edgeattn {
namespace {

using Vec = __m256;
using Mask = __m256i;
using Wide = __m256d;
using WideMask = __m128i;
struct All {};

constexpr size_t kLanes = 8;
constexpr size_t kWideLanes = 4;
/// Whether a power is worth more operations in a shorter chain, and vectors of powers that softmax computes side by side:
/// here the processor overlaps iterations by itself.
constexpr bool kShortChains = false;
constexpr size_t kPowerVectors = 1;
/// Whether masked stores take no longer than others: where a mask is a register of its own.
constexpr bool kQuickMaskedStores = false;

/// The block of a product that stays in registers, beside a row of weights and an input.
constexpr size_t kGemmRows = 6;
constexpr size_t kGemmVectors = 2;
/// Rows of a block of one vector: as many sums, so that none waits for another.
constexpr size_t kGemmNarrowRows = 12;
/// Rows of a block that share a pointer: one for every row would take more registers than there are.
constexpr size_t kRowsOfPointer = 3;

/// Lanes begin ≤ i < end.
inline Mask lanes(size_t begin, size_t end) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i below_end = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(end)), index);
  return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(begin)), index), below_end);
}

inline Vec zero() { return _mm256_setzero_ps(); }
inline Vec broadcast(float value) { return _mm256_set1_ps(value); }

inline Vec load(const float* from, All) { return _mm256_loadu_ps(from); }
inline Vec load(const float* from, Mask mask) { return _mm256_maskload_ps(from, mask); }
inline void store(float* to, Vec v, All) { _mm256_storeu_ps(to, v); }
inline void store(float* to, Vec v, Mask mask) { _mm256_maskstore_ps(to, mask, v); }
/// Stores past the caches, where the processor can, at an address aligned to a vector. finish_streams orders such stores before
/// those that follow.
inline void stream(float* to, Vec v) { _mm256_stream_ps(to, v); }
inline void finish_streams() { _mm_sfence(); }

inline Vec keep(Vec v, All) { return v; }
inline Vec keep(Vec v, Mask mask) { return _mm256_and_ps(v, _mm256_castsi256_ps(mask)); }
inline Vec choose(All, Vec v, Vec) { return v; }
inline Vec choose(Mask mask, Vec v, Vec other) { return _mm256_blendv_ps(other, v, _mm256_castsi256_ps(mask)); }

inline Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
inline Vec subtract(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
inline Vec multiply(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
inline Vec fused(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
/// The larger; `best` where v is NaN.
inline Vec larger(Vec v, Vec best) { return _mm256_max_ps(v, best); }
/// The smaller; `best` where v is NaN.
inline Vec smaller(Vec v, Vec best) { return _mm256_min_ps(v, best); }
/// `v` where a ≠ b, else 0.
inline Vec keep_where_different(Vec v, Vec a, Vec b) { return _mm256_and_ps(v, _mm256_cmp_ps(a, b, _CMP_NEQ_UQ)); }

template <class Combine>
inline float reduce(Vec v, Combine combine) {
  __m128 half = combine(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  half = combine(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(combine(half, _mm_movehdup_ps(half)));
}
inline float sum(Vec v) {
  return reduce(v, [](__m128 a, __m128 b) { return _mm_add_ps(a, b); });
}
inline float largest(Vec v) {
  return reduce(v, [](__m128 a, __m128 b) { return _mm_max_ps(a, b); });
}
inline float smallest(Vec v) {
  return reduce(v, [](__m128 a, __m128 b) { return _mm_min_ps(a, b); });
}

/// x = n + fraction, n the nearest integer. What counts as 0 is moved to where neither fraction nor power leaves the range of numbers.
struct Split {
  Vec biased;  ///< n + 127 in the low bits
  Vec fraction;
};
inline Split split(Vec x) {
  const Vec rounder = broadcast(kExp2Rounder);
  const Vec kept = _mm256_max_ps(broadcast(kExp2Smallest - 1), x);  // NaN is kept
  const Vec biased = add(kept, rounder);
  return {biased, subtract(kept, subtract(biased, rounder))};
}
/// power·2^n; 0 where x < kExp2Smallest; NaN where power is NaN and x is not below.
inline Vec scale(Vec power, const Split& split, Vec x) {
  const Vec two_to_n = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(split.biased), 23));
  const Vec below = _mm256_cmp_ps(x, broadcast(kExp2Smallest), _CMP_LT_OQ);
  return _mm256_andnot_ps(below, multiply(power, two_to_n));
}

inline WideMask wide_lanes(size_t end) {
  return _mm_cmpgt_epi32(_mm_set1_epi32(static_cast<int>(end)), _mm_setr_epi32(0, 1, 2, 3));
}
inline Wide wide_zero() { return _mm256_setzero_pd(); }
inline Wide wide_broadcast(double value) { return _mm256_set1_pd(value); }
inline Wide load_wide(const float* from, All) { return _mm256_cvtps_pd(_mm_loadu_ps(from)); }
inline Wide load_wide(const float* from, WideMask mask) { return _mm256_cvtps_pd(_mm_maskload_ps(from, mask)); }
inline Wide load(const double* from) { return _mm256_loadu_pd(from); }
inline void store(double* to, Wide v) { _mm256_storeu_pd(to, v); }
inline Wide keep(Wide v, All) { return v; }
inline Wide keep(Wide v, WideMask mask) { return _mm256_and_pd(v, _mm256_castsi256_pd(_mm256_cvtepi32_epi64(mask))); }
inline Wide add(Wide a, Wide b) { return _mm256_add_pd(a, b); }
inline Wide subtract(Wide a, Wide b) { return _mm256_sub_pd(a, b); }
inline Wide fused(Wide a, Wide b, Wide c) { return _mm256_fmadd_pd(a, b, c); }
inline double sum(Wide v) {
  const __m128d half = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(half, _mm_unpackhi_pd(half, half)));
}

/// rows[i] lane j ↔ rows[j] lane i.
[[gnu::always_inline]] inline void transpose(Vec (&rows)[kLanes]) {
  Vec pairs[kLanes];
  for (size_t i = 0; i < kLanes; i += 2) {
    pairs[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
  }
  Vec quads[kLanes];
  for (size_t i = 0; i < kLanes; i += 4) {
    quads[i] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
    quads[i + 1] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0xEE);
    quads[i + 2] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
    quads[i + 3] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xEE);
  }
  for (size_t i = 0; i < kLanes / 2; ++i) {
    rows[i] = _mm256_permute2f128_ps(quads[i], quads[i + 4], 0x20);
    rows[i + 4] = _mm256_permute2f128_ps(quads[i], quads[i + 4], 0x31);
  }
}

}  // namespace
}  // namespace edgeattn
