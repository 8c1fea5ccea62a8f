#pragma once

#include "for_lanes.h"

namespace edgeattn {
namespace {

/// 2^x as exp2_polynomial.h says. Max error 0.9 ULP on [-126, 0].
inline Vec pow2(Vec x) {
  const Split parts = split(x);
  Vec power = broadcast(kExp2Coefficients[kExp2Degree]);
  for (size_t i = kExp2Degree; i-- > 0;) power = fused(power, parts.fraction, broadcast(kExp2Coefficients[i]));
  return scale(power, parts, x);
}

}  // namespace

void EDGEATTN_KERNEL(exp2)(const float* x, float* out, size_t count) {
  for_lanes(count, [&](size_t i, auto mask) { store(out + i, pow2(load(x + i, mask)), mask); });
}

}  // namespace edgeattn
