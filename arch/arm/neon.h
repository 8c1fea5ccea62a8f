#pragma once

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#include "../exp2_polynomial.h"

/// The vocabulary of x86/avx2.h, where its words are explained, for NEON with fused multiply-adds: aarch64, and armv7 with
/// VFPv4. NEON of armv7 has no float64, so `Wide` is a pair of VFP registers there; it flushes denormals whatever the mode.
#define EDGEATTN_KERNEL(op) op##_neon

namespace edgeattn {
namespace {

using Vec = float32x4_t;
/// NEON has no masked loads or stores: they go lane by lane.
struct Mask {
  bool has(size_t lane) const { return begin <= lane && lane < end; }
  size_t begin;
  size_t end;
};
struct WideMask {
  bool has(size_t lane) const { return lane < end; }
  size_t end;
};
struct All {};

constexpr size_t kLanes = 4;
constexpr size_t kWideLanes = 2;
// In-order cores wait for a result four to eight cycles; armv7 has half the registers.
constexpr bool kShortChains = true;
constexpr bool kQuickMaskedStores = false;
#if defined(__aarch64__)
constexpr size_t kPowerVectors = 4;
constexpr size_t kGemmRows = 8;
#else
constexpr size_t kPowerVectors = 2;
constexpr size_t kGemmRows = 4;
#endif
constexpr size_t kGemmVectors = 2;
constexpr size_t kGemmNarrowRows = kGemmRows;
constexpr size_t kRowsOfPointer = 1;

inline Mask lanes(size_t begin, size_t end) { return {begin, end}; }

inline Vec zero() { return vdupq_n_f32(0); }
inline Vec broadcast(float value) { return vdupq_n_f32(value); }

inline Vec as_floats(uint32x4_t bits) { return vreinterpretq_f32_u32(bits); }
inline uint32x4_t as_bits(Vec v) { return vreinterpretq_u32_f32(v); }
/// All bits of the chosen lanes.
inline uint32x4_t bits(Mask mask) {
  const uint32x4_t index = {0, 1, 2, 3};
  const uint32x4_t from_begin = vcgeq_u32(index, vdupq_n_u32(static_cast<uint32_t>(mask.begin)));
  return vandq_u32(from_begin, vcltq_u32(index, vdupq_n_u32(static_cast<uint32_t>(mask.end))));
}

inline Vec load(const float* from, All) { return vld1q_f32(from); }
inline Vec load(const float* from, Mask mask) {
  Vec v = zero();
  if (mask.has(0)) v = vld1q_lane_f32(from, v, 0);
  if (mask.has(1)) v = vld1q_lane_f32(from + 1, v, 1);
  if (mask.has(2)) v = vld1q_lane_f32(from + 2, v, 2);
  if (mask.has(3)) v = vld1q_lane_f32(from + 3, v, 3);
  return v;
}
inline void store(float* to, Vec v, All) { vst1q_f32(to, v); }
inline void store(float* to, Vec v, Mask mask) {
  if (mask.has(0)) vst1q_lane_f32(to, v, 0);
  if (mask.has(1)) vst1q_lane_f32(to + 1, v, 1);
  if (mask.has(2)) vst1q_lane_f32(to + 2, v, 2);
  if (mask.has(3)) vst1q_lane_f32(to + 3, v, 3);
}

inline Vec keep(Vec v, All) { return v; }
inline Vec keep(Vec v, Mask mask) { return as_floats(vandq_u32(as_bits(v), bits(mask))); }
inline Vec choose(All, Vec v, Vec) { return v; }
inline Vec choose(Mask mask, Vec v, Vec other) { return vbslq_f32(bits(mask), v, other); }

inline Vec add(Vec a, Vec b) { return vaddq_f32(a, b); }
inline Vec subtract(Vec a, Vec b) { return vsubq_f32(a, b); }
inline Vec multiply(Vec a, Vec b) { return vmulq_f32(a, b); }
inline Vec fused(Vec a, Vec b, Vec c) { return vfmaq_f32(c, a, b); }
inline Vec keep_where_different(Vec v, Vec a, Vec b) { return as_floats(vbicq_u32(as_bits(v), vceqq_f32(a, b))); }

#if defined(__aarch64__)
/// The words of simd/single_inputs.h, for multiply-adds that take a lane.
constexpr size_t kInputs = 4;
using Inputs = Vec;
inline Inputs load_inputs(const float* from) { return vld1q_f32(from); }
/// One input, as the 0th.
inline Inputs load_input(const float* from) { return vld1q_dup_f32(from); }
template <size_t kIndex>
inline Vec fused_input(Inputs inputs, Vec b, Vec c) {
  return vfmaq_laneq_f32(c, b, inputs, kIndex);
}

inline Vec larger(Vec v, Vec best) { return vmaxnmq_f32(v, best); }
inline Vec smaller(Vec v, Vec best) { return vminnmq_f32(v, best); }

inline float sum(Vec v) { return vaddvq_f32(v); }
inline float largest(Vec v) { return vmaxvq_f32(v); }
inline float smallest(Vec v) { return vminvq_f32(v); }
#else
// Not by vcgtq_f32 and the like: GCC takes these apart into scalars on armv7 without -funsafe-math-optimizations.
inline Vec number_or(Vec v, Vec other) { return vbslq_f32(vceqq_f32(v, v), v, other); }
inline Vec larger(Vec v, Vec best) { return vmaxq_f32(number_or(v, best), best); }
inline Vec smaller(Vec v, Vec best) { return vminq_f32(number_or(v, best), best); }

template <class Combine>
inline float reduce(Vec v, Combine combine_pairs) {
  const float32x2_t half = combine_pairs(vget_low_f32(v), vget_high_f32(v));
  return vget_lane_f32(combine_pairs(half, half), 0);
}
inline float sum(Vec v) {
  return reduce(v, [](float32x2_t a, float32x2_t b) { return vpadd_f32(a, b); });
}
inline float largest(Vec v) {
  return reduce(v, [](float32x2_t a, float32x2_t b) { return vpmax_f32(a, b); });
}
inline float smallest(Vec v) {
  return reduce(v, [](float32x2_t a, float32x2_t b) { return vpmin_f32(a, b); });
}
#endif

struct Split {
  Vec two_to_n;
  Vec fraction;
};
/// For x ≤ 0. What counts as 0 becomes -127, of which two_to_n is 0: then x need not be kept in a register.
inline Split split(Vec x) {
#if defined(__aarch64__)
  const uint32x4_t below = vcltq_f32(x, broadcast(kExp2Smallest));
#else
  const uint32x4_t below = vcagtq_f32(x, broadcast(kExp2Smallest));
#endif
  const Vec kept = vbslq_f32(below, broadcast(kExp2Smallest - 1), x);
  const Vec rounder = broadcast(kExp2Rounder);
  const Vec biased = add(kept, rounder);
  return {as_floats(vshlq_n_u32(as_bits(biased), 23)), subtract(kept, subtract(biased, rounder))};
}
inline Vec scale(Vec power, const Split& split, Vec) { return multiply(power, split.two_to_n); }

inline WideMask wide_lanes(size_t end) { return {end}; }
inline float32x2_t load_pair(const float* from, All) { return vld1_f32(from); }
inline float32x2_t load_pair(const float* from, WideMask mask) {
  float32x2_t pair = vdup_n_f32(0);
  if (mask.has(0)) pair = vld1_lane_f32(from, pair, 0);
  if (mask.has(1)) pair = vld1_lane_f32(from + 1, pair, 1);
  return pair;
}

#if defined(__aarch64__)
using Wide = float64x2_t;

inline Wide wide_broadcast(double value) { return vdupq_n_f64(value); }
inline Wide widened(float32x2_t pair) { return vcvt_f64_f32(pair); }
inline Wide load(const double* from) { return vld1q_f64(from); }
inline void store(double* to, Wide v) { vst1q_f64(to, v); }
inline Wide keep(Wide v, WideMask mask) {
  const uint64x2_t chosen = {mask.has(0) ? ~uint64_t{0} : 0, mask.has(1) ? ~uint64_t{0} : 0};
  return vreinterpretq_f64_u64(vandq_u64(vreinterpretq_u64_f64(v), chosen));
}
inline Wide add(Wide a, Wide b) { return vaddq_f64(a, b); }
inline Wide subtract(Wide a, Wide b) { return vsubq_f64(a, b); }
inline Wide fused(Wide a, Wide b, Wide c) { return vfmaq_f64(c, a, b); }
inline double sum(Wide v) { return vaddvq_f64(v); }
#else
struct Wide {
  double low;
  double high;
};

inline Wide wide_broadcast(double value) { return {value, value}; }
inline Wide widened(float32x2_t pair) {
  return {static_cast<double>(vget_lane_f32(pair, 0)), static_cast<double>(vget_lane_f32(pair, 1))};
}
inline Wide load(const double* from) { return {from[0], from[1]}; }
inline void store(double* to, Wide v) {
  to[0] = v.low;
  to[1] = v.high;
}
inline Wide keep(Wide v, WideMask mask) { return {mask.has(0) ? v.low : 0, mask.has(1) ? v.high : 0}; }
inline Wide add(Wide a, Wide b) { return {a.low + b.low, a.high + b.high}; }
inline Wide subtract(Wide a, Wide b) { return {a.low - b.low, a.high - b.high}; }
inline Wide fused(Wide a, Wide b, Wide c) {
  return {__builtin_fma(a.low, b.low, c.low), __builtin_fma(a.high, b.high, c.high)};
}
inline double sum(Wide v) { return v.low + v.high; }
#endif

inline Wide wide_zero() { return wide_broadcast(0); }
template <class Lanes>
inline Wide load_wide(const float* from, Lanes mask) {
  return widened(load_pair(from, mask));
}
inline Wide keep(Wide v, All) { return v; }

/// No stores past the caches.
inline void stream(float* to, Vec v) { store(to, v, All{}); }
inline void finish_streams() {}

/// rows[i] lane j ↔ rows[j] lane i.
[[gnu::always_inline]] inline void transpose(Vec (&rows)[kLanes]) {
  const float32x4x2_t upper = vtrnq_f32(rows[0], rows[1]);
  const float32x4x2_t lower = vtrnq_f32(rows[2], rows[3]);
  for (size_t i = 0; i < 2; ++i) {
#if defined(__aarch64__)
    const float64x2_t above = vreinterpretq_f64_f32(upper.val[i]);
    const float64x2_t below = vreinterpretq_f64_f32(lower.val[i]);
    rows[i] = vreinterpretq_f32_f64(vzip1q_f64(above, below));
    rows[i + 2] = vreinterpretq_f32_f64(vzip2q_f64(above, below));
#else
    rows[i] = vcombine_f32(vget_low_f32(upper.val[i]), vget_low_f32(lower.val[i]));
    rows[i + 2] = vcombine_f32(vget_high_f32(upper.val[i]), vget_high_f32(lower.val[i]));
#endif
  }
}

}  // namespace
}  // namespace edgeattn
