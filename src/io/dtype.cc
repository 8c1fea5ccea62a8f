#include "dtype.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>

namespace edgeattn::io {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");
static_assert(std::numeric_limits<float>::is_iec559 && std::numeric_limits<double>::is_iec559);

float from_f32(float value) { return value; }

float from_bf16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

float from_f16(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1Fu;
  const std::uint32_t fraction = half & 0x3FFu;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  const std::uint32_t rebiased = exponent == 0x1F ? 0xFFu : exponent + (127 - 15);
  return std::bit_cast<float>(sign | rebiased << 23 | fraction << 13);
}

/// To nearest, ties to even; the cast alone is undefined past the largest float.
float from_f64(double value) {
  constexpr double kRoundsToInfinity = 0x1.ffffffp127;
  constexpr auto kLargest = std::numeric_limits<float>::max();
  const double magnitude = std::fabs(value);
  if (magnitude >= kRoundsToInfinity)
    return std::copysign(std::numeric_limits<float>::infinity(), value < 0 ? -1.f : 1.f);
  if (magnitude > double{kLargest}) return value < 0 ? -kLargest : kLargest;
  return static_cast<float>(value);
}

template <class Stored, float (*kConvert)(Stored)>
void to_float(const std::byte* elements, std::size_t count, float* values) {
  for (std::size_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, elements + i * sizeof(Stored), sizeof(Stored));
    values[i] = kConvert(stored);
  }
}

constexpr DtypeTraits kDtypes[] = {
    {"F64", Dtype::kF64, 8, to_float<double, from_f64>},
    {"F32", Dtype::kF32, 4, to_float<float, from_f32>},
    {"F16", Dtype::kF16, 2, to_float<std::uint16_t, from_f16>},
    {"BF16", Dtype::kBf16, 2, to_float<std::uint16_t, from_bf16>},
    {"I64", Dtype::kOther, 8, nullptr},
    {"U64", Dtype::kOther, 8, nullptr},
    {"I32", Dtype::kOther, 4, nullptr},
    {"U32", Dtype::kOther, 4, nullptr},
    {"I16", Dtype::kOther, 2, nullptr},
    {"U16", Dtype::kOther, 2, nullptr},
    {"I8", Dtype::kOther, 1, nullptr},
    {"U8", Dtype::kOther, 1, nullptr},
    {"F8_E5M2", Dtype::kOther, 1, nullptr},
    {"F8_E4M3", Dtype::kOther, 1, nullptr},
    {"BOOL", Dtype::kOther, 1, nullptr},
};

}  // namespace

const DtypeTraits* find_dtype(std::string_view name) noexcept {
  const auto* found =
      std::find_if(std::begin(kDtypes), std::end(kDtypes), [&](const auto& row) { return row.name == name; });
  return found == std::end(kDtypes) ? nullptr : found;
}

}  // namespace edgeattn::io
