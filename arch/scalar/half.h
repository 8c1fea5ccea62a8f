#pragma once

#include <bit>
#include <cstdint>

#include "reduced_kernels.h"

namespace edgeattn::scalar {

/// Rounds to bfloat16: to nearest, ties to even. What is too large becomes infinite, denormals become zeros of their sign, NaN
/// stays NaN. Free of branches, so that loops of it vectorise.
inline Half round_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & 0x7FFFFFFF;
  const std::uint32_t rounded = bits + 0x7FFF + (bits >> 16 & 1);
  const std::uint32_t kept = magnitude < 0x00800000 ? bits & 0x80000000 : rounded;
  return static_cast<Half>((magnitude > 0x7F800000 ? bits | 0x00400000 : kept) >> 16);
}

inline float widen_bf16(Half half) { return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16); }

}  // namespace edgeattn::scalar
