#pragma once

#include "for_lanes.h"

namespace edgeattn {
namespace {

/// p(r) by Horner's rule: fewest operations.
inline Vec horner(Vec r) {
  Vec power = broadcast(kExp2Coefficients[kExp2Degree]);
  for (size_t i = kExp2Degree; i-- > 0;) power = fused(power, r, broadcast(kExp2Coefficients[i]));
  return power;
}

/// p(r) as 1 + r·q(r), q by Estrin's scheme: a shorter chain, and fewer copies of coefficients where fused() overwrites its
/// addend. The last step keeps Horner's accuracy.
inline Vec estrin(Vec r) {
  static_assert(kExp2Degree == 6);
  const auto pair = [&](size_t i) { return fused(broadcast(kExp2Coefficients[i + 1]), r, broadcast(kExp2Coefficients[i])); };
  const Vec r2 = multiply(r, r);
  const Vec q = fused(fused(pair(5), r2, pair(3)), r2, pair(1));
  return fused(q, r, broadcast(kExp2Coefficients[0]));
}

/// x ← 2^x as exp2_polynomial.h says, in vectors that hide each other's latency. Max error on [-126, 0]: 0.9 ULP by
/// Horner's rule, 1.2 by Estrin's scheme.
template <size_t kVectors>
[[gnu::always_inline]] inline void raise(Vec (&x)[kVectors]) {
  for (Vec& v : x) {
    const Split parts = split(v);
    v = scale(kShortChains ? estrin(parts.fraction) : horner(parts.fraction), parts, v);
  }
}

inline Vec pow2(Vec x) {
  Vec only[] = {x};
  raise(only);
  return only[0];
}

}  // namespace

}  // namespace edgeattn
