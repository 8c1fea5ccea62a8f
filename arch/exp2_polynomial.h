#pragma once

#include <stddef.h>

/// What every variant of exp2 shares: 2^x = 2^n·p(r), n the integer nearest to x, r = x - n in [-1/2, 1/2].
namespace edgeattn {

/// p(r) = 1 + r·(c₁ + r·(c₂ + …)), minimising max |p(r)/2^r - 1| over [-1/2, 1/2]. Found by Remez exchange in 60 digits
/// with p(0) = 1; each coefficient was rounded to float before the rest was solved again. Max error 1.3e-8 = 0.22·2⁻²⁴.
inline constexpr float kExp2Coefficients[] = {1.0f,           0.693147182f,   0.240225941f,   0.0555036627f,
                                              0.00962544512f, 0.00133880321f, 0.000133412424f};
inline constexpr size_t kExp2Degree = 6;

/// Below it, 2^x counts as 0.
inline constexpr float kExp2Smallest = -126.0f;

/// 1.5·2²³ + 127. Adding it to |x| < 2²² rounds x to the nearest integer n, and leaves n + 127, the biased exponent of
/// 2^n, in the low bits.
inline constexpr float kExp2Rounder = 12582912.0f + 127.0f;

}  // namespace edgeattn
