#pragma once

#include <bit>
#include <cfloat>
#include <cstddef>
#include <cstdint>

#include "exp2_polynomial.h"

namespace edgeattn::scalar {

static_assert(FLT_EVAL_METHOD == 0, "needs float arithmetic in float: on 32-bit x86, compile with -msse2 -mfpmath=sse");

/// 2^x as exp2_polynomial.h says. Max error 1.2 ULP on [-126, 0]. Free of branches and calls, so that loops of it
/// vectorise.
inline float pow2(float x) {
  // Where 2^x counts as 0, a fraction of a larger or infinite x would leave the range of numbers. NaN stays.
  const float kept = kExp2Smallest - 1 > x ? kExp2Smallest - 1 : x;
  const float biased = kept + kExp2Rounder;
  const float fraction = kept - (biased - kExp2Rounder);
  float power = kExp2Coefficients[kExp2Degree];
  for (std::size_t i = kExp2Degree; i-- > 0;) power = power * fraction + kExp2Coefficients[i];
  power *= std::bit_cast<float>(std::bit_cast<std::uint32_t>(biased) << 23);
  const std::uint32_t keep = 0u - static_cast<std::uint32_t>(!(x < kExp2Smallest));
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(power) & keep);
}

}  // namespace edgeattn::scalar
