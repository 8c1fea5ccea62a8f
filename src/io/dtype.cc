#include "dtype.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>

#include "checked.h"

namespace edgeattn::io {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");
static_assert(std::numeric_limits<float>::is_iec559 && std::numeric_limits<double>::is_iec559);

float same(float value) { return value; }

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

/// `bits` without its last `dropped` bits, to nearest, ties to even.
constexpr std::uint32_t rounded(std::uint32_t bits, int dropped) {
  const std::uint32_t half = 1u << (dropped - 1), odd = bits >> dropped & 1u;
  return (bits + half - 1 + odd) >> dropped;
}

/// Of numbers with a sign and 8 bits in all: what is behind the sign counts up from 0 as the magnitude does.
template <int kFractionBits, int kBias>
float magnitude_f8(unsigned bits) {
  constexpr unsigned kImplicit = 1u << kFractionBits;
  const unsigned exponent = bits >> kFractionBits, fraction = bits & (kImplicit - 1);
  const int place = static_cast<int>(exponent == 0 ? 1 : exponent) - kBias - kFractionBits;
  return std::ldexp(static_cast<float>(exponent == 0 ? fraction : kImplicit | fraction), place);
}

/// E4M3FN: no infinities, NaN where all bits behind the sign are set, 448 the largest (OCP 8-bit floating point).
float from_f8_e4m3(std::uint8_t bits) {
  const unsigned magnitude = bits & 0x7Fu;
  const float value = magnitude == 0x7F ? std::numeric_limits<float>::quiet_NaN() : magnitude_f8<3, 7>(magnitude);
  return std::copysign(value, (bits & 0x80u) != 0 ? -1.f : 1.f);
}

/// The first 8 bits of an F16.
float from_f8_e5m2(std::uint8_t bits) { return from_f16(static_cast<std::uint16_t>(bits << 8)); }

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  constexpr std::uint32_t kQuiet = 0x40;
  return static_cast<std::uint16_t>(std::isnan(value) ? bits >> 16 | kQuiet : rounded(bits, 16));
}

std::uint16_t to_f16(float value) {
  constexpr float kLeastNormal = 0x1p-14f, kRoundsToInfinity = 0x1.ffep15f;
  constexpr std::uint32_t kInfinity = 0x7C00, kQuiet = 0x200, kRebias = (127u - 15u) << 10;
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000u;
  const float magnitude = std::fabs(value);
  std::uint32_t half = 0;
  if (std::isnan(value)) half = kInfinity | kQuiet | (bits >> 13 & 0x3FFu);
  else if (magnitude >= kRoundsToInfinity) half = kInfinity;
  else if (magnitude >= kLeastNormal) half = rounded(std::bit_cast<std::uint32_t>(magnitude), 13) - kRebias;
  // The last place of numbers from 0.5 on is 2⁻²⁴, as that of denormal halves.
  else half = std::bit_cast<std::uint32_t>(magnitude + 0.5f) - std::bit_cast<std::uint32_t>(0.5f);
  return static_cast<std::uint16_t>(sign | half);
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

template <class Stored, Stored (*kConvert)(float)>
void from_float(const float* values, std::size_t count, std::byte* elements) {
  for (std::size_t i = 0; i < count; ++i) {
    const Stored stored = kConvert(values[i]);
    std::memcpy(elements + i * sizeof(Stored), &stored, sizeof(Stored));
  }
}

/// Those of version 0.8 of the reference package.
constexpr DtypeTraits kDtypes[] = {
    {"F64", Dtype::kF64, 64, to_float<double, from_f64>, nullptr},
    {"F32", Dtype::kF32, 32, to_float<float, same>, from_float<float, same>},
    {"F16", Dtype::kF16, 16, to_float<std::uint16_t, from_f16>, from_float<std::uint16_t, to_f16>},
    {"BF16", Dtype::kBf16, 16, to_float<std::uint16_t, from_bf16>, from_float<std::uint16_t, to_bf16>},
    {"F8_E5M2", Dtype::kF8E5m2, 8, to_float<std::uint8_t, from_f8_e5m2>, nullptr},
    {"F8_E4M3", Dtype::kF8E4m3, 8, to_float<std::uint8_t, from_f8_e4m3>, nullptr},
    {"C64", Dtype::kOther, 64, nullptr, nullptr},
    {"I64", Dtype::kOther, 64, nullptr, nullptr},
    {"U64", Dtype::kOther, 64, nullptr, nullptr},
    {"I32", Dtype::kOther, 32, nullptr, nullptr},
    {"U32", Dtype::kOther, 32, nullptr, nullptr},
    {"I16", Dtype::kOther, 16, nullptr, nullptr},
    {"U16", Dtype::kOther, 16, nullptr, nullptr},
    {"I8", Dtype::kOther, 8, nullptr, nullptr},
    {"U8", Dtype::kOther, 8, nullptr, nullptr},
    {"F8_E8M0", Dtype::kOther, 8, nullptr, nullptr},
    {"F8_E4M3FNUZ", Dtype::kOther, 8, nullptr, nullptr},
    {"F8_E5M2FNUZ", Dtype::kOther, 8, nullptr, nullptr},
    {"BOOL", Dtype::kOther, 8, nullptr, nullptr},
    {"F6_E3M2", Dtype::kOther, 6, nullptr, nullptr},
    {"F6_E2M3", Dtype::kOther, 6, nullptr, nullptr},
    {"F4", Dtype::kOther, 4, nullptr, nullptr},
};

template <class Field>
const DtypeTraits* find_by(Field DtypeTraits::*field, Field value) noexcept {
  const auto* found = std::ranges::find(kDtypes, value, field);
  return found == std::end(kDtypes) ? nullptr : found;
}

}  // namespace

bool DtypeTraits::size(std::size_t elements, std::size_t& bytes) const noexcept {
  // In two parts, so that nothing but the product in bytes can overflow.
  const std::size_t rest_bits = elements % 8 * bits;
  bytes = elements / 8;
  if (!multiply(bytes, bits)) return false;
  return !__builtin_add_overflow(bytes, rest_bits / 8, &bytes);
}

bool DtypeTraits::fills_bytes(std::size_t elements) const noexcept { return elements % 8 * bits % 8 == 0; }

const DtypeTraits* find_dtype(std::string_view name) noexcept { return find_by(&DtypeTraits::name, name); }
const DtypeTraits* find_dtype(Dtype dtype) noexcept {
  return dtype == Dtype::kOther ? nullptr : find_by(&DtypeTraits::dtype, dtype);
}

}  // namespace edgeattn::io
