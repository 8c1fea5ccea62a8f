#pragma once

#include <bit>
#include <cfloat>
#include <cstdint>

namespace edgeattn::scalar {

static_assert(FLT_EVAL_METHOD == 0, "needs float arithmetic in float: on 32-bit x86, compile with -msse2 -mfpmath=sse");

/// a·b + c, rounded once: the bits of std::fma, but inline and without branches, so that loops of it vectorise. The
/// product is exact in double; its sum with c is rounded to odd there, after which rounding to float is as good as
/// rounding once (Boldo and Melquiond 2008).
inline float fused(float a, float b, float c) {
  const double product = static_cast<double>(a) * static_cast<double>(b);
  const double addend = static_cast<double>(c);
  const double sum = product + addend;
  const double back = sum - product;
  const double error = (product - (sum - back)) + (addend - back);
  const double side = sum * error;  // negative where sum lies beyond the exact value; NaN where it is not finite
  const double over = side < 0 ? side : 0;
  const double under = side > 0 ? side : 0;
  const std::uint64_t beyond = std::bit_cast<std::uint64_t>(over) >> 63;
  const std::uint64_t before = (0 - std::bit_cast<std::uint64_t>(under)) >> 63;
  return static_cast<float>(std::bit_cast<double>((std::bit_cast<std::uint64_t>(sum) - beyond) | beyond | before));
}

}  // namespace edgeattn::scalar
