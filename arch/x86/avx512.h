#pragma once

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
#pragma GCC diagnostic ignored "-Wuninitialized"  // of the intrinsics' own header: GCC bug 105593
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "../exp2_polynomial.h"

/// The vocabulary of avx2.h, where its words are explained, for AVX-512 F, BW, DQ, VL.
#define EDGEATTN_KERNEL(op) op##_avx512

namespace edgeattn {
namespace {

using Vec = __m512;
using Mask = __mmask16;
using Wide = __m512d;
using WideMask = __mmask8;
struct All {};

constexpr size_t kLanes = 16;
constexpr size_t kWideLanes = 8;
constexpr bool kShortChains = false;
constexpr size_t kPowerVectors = 1;
constexpr bool kQuickMaskedStores = true;
constexpr size_t kGemmRows = 12;
constexpr size_t kGemmVectors = 2;
constexpr size_t kGemmNarrowRows = 12;
constexpr size_t kRowsOfPointer = 3;

inline Mask lanes(size_t begin, size_t end) {
  const uint32_t below_end = end < kLanes ? (1u << end) - 1 : 0xFFFF;
  return static_cast<Mask>(below_end & (0xFFFFu << begin));
}

inline Vec zero() { return _mm512_setzero_ps(); }
inline Vec broadcast(float value) { return _mm512_set1_ps(value); }

inline Vec load(const float* from, All) { return _mm512_loadu_ps(from); }
inline Vec load(const float* from, Mask mask) { return _mm512_maskz_loadu_ps(mask, from); }
inline void store(float* to, Vec v, All) { _mm512_storeu_ps(to, v); }
inline void store(float* to, Vec v, Mask mask) { _mm512_mask_storeu_ps(to, mask, v); }
inline void stream(float* to, Vec v) { _mm512_stream_ps(to, v); }
inline void finish_streams() { _mm_sfence(); }

inline Vec keep(Vec v, All) { return v; }
inline Vec keep(Vec v, Mask mask) { return _mm512_maskz_mov_ps(mask, v); }
inline Vec choose(All, Vec v, Vec) { return v; }
inline Vec choose(Mask mask, Vec v, Vec other) { return _mm512_mask_mov_ps(other, mask, v); }

inline Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
inline Vec subtract(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
inline Vec multiply(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
inline Vec fused(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
inline Vec larger(Vec v, Vec best) { return _mm512_max_ps(v, best); }
inline Vec smaller(Vec v, Vec best) { return _mm512_min_ps(v, best); }
inline Vec keep_where_different(Vec v, Vec a, Vec b) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ), v);
}

inline float sum(Vec v) { return _mm512_reduce_add_ps(v); }
inline float largest(Vec v) { return _mm512_reduce_max_ps(v); }
inline float smallest(Vec v) { return _mm512_reduce_min_ps(v); }

struct Split {
  Mask kept;  ///< what does not count as 0, NaN included
  Vec whole;
  Vec fraction;
};
inline Split split(Vec x) {
  const Mask kept = _mm512_cmp_ps_mask(x, broadcast(kExp2Smallest), _CMP_NLT_UQ);
  const Vec whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  return {kept, whole, _mm512_maskz_sub_ps(kept, x, whole)};
}
inline Vec scale(Vec power, const Split& split, Vec) { return _mm512_maskz_scalef_ps(split.kept, power, split.whole); }

inline WideMask wide_lanes(size_t end) { return static_cast<WideMask>(end < kWideLanes ? (1u << end) - 1 : 0xFF); }
inline Wide wide_zero() { return _mm512_setzero_pd(); }
inline Wide wide_broadcast(double value) { return _mm512_set1_pd(value); }
inline Wide load_wide(const float* from, All) { return _mm512_cvtps_pd(_mm256_loadu_ps(from)); }
inline Wide load_wide(const float* from, WideMask mask) { return _mm512_cvtps_pd(_mm256_maskz_loadu_ps(mask, from)); }
inline Wide load(const double* from) { return _mm512_loadu_pd(from); }
inline void store(double* to, Wide v) { _mm512_storeu_pd(to, v); }
inline Wide keep(Wide v, All) { return v; }
inline Wide keep(Wide v, WideMask mask) { return _mm512_maskz_mov_pd(mask, v); }
inline Wide add(Wide a, Wide b) { return _mm512_add_pd(a, b); }
inline Wide subtract(Wide a, Wide b) { return _mm512_sub_pd(a, b); }
inline Wide fused(Wide a, Wide b, Wide c) { return _mm512_fmadd_pd(a, b, c); }
inline double sum(Wide v) { return _mm512_reduce_add_pd(v); }

[[gnu::always_inline]] inline void transpose(Vec (&rows)[kLanes]) {
  Vec pairs[kLanes];
  for (size_t i = 0; i < kLanes; i += 2) {
    pairs[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
  }
  Vec quads[kLanes];
  for (size_t i = 0; i < kLanes; i += 4) {
    quads[i] = _mm512_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
    quads[i + 1] = _mm512_shuffle_ps(pairs[i], pairs[i + 2], 0xEE);
    quads[i + 2] = _mm512_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
    quads[i + 3] = _mm512_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xEE);
  }
  Vec halves[kLanes];
  for (size_t i = 0; i < 4; ++i) {
    halves[i] = _mm512_shuffle_f32x4(quads[i], quads[i + 4], 0x88);
    halves[i + 4] = _mm512_shuffle_f32x4(quads[i], quads[i + 4], 0xDD);
    halves[i + 8] = _mm512_shuffle_f32x4(quads[i + 8], quads[i + 12], 0x88);
    halves[i + 12] = _mm512_shuffle_f32x4(quads[i + 8], quads[i + 12], 0xDD);
  }
  for (size_t i = 0; i < kLanes / 2; ++i) {
    rows[i] = _mm512_shuffle_f32x4(halves[i], halves[i + 8], 0x88);
    rows[i + 8] = _mm512_shuffle_f32x4(halves[i], halves[i + 8], 0xDD);
  }
}

}  // namespace
}  // namespace edgeattn
