#include "scalar/fused.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>

#include "kernel_checker.h"
#include "support.h"

namespace edgeattn::test {
namespace {

struct Mismatches {
  std::size_t count = 0;
  float a = 0, b = 0, c = 0;

  void visit(float x, float y, float z) {
    if (same(scalar::fused(x, y, z), std::fma(x, y, z))) return;
    if (count++ == 0) a = x, b = y, c = z;
  }
};

void expect_none(const Mismatches& mismatches) {
  CAPTURE(mismatches.a);
  CAPTURE(mismatches.b);
  CAPTURE(mismatches.c);
  CHECK(mismatches.count == 0);
}

/// A float of any sign, with an exponent of at most `range` in magnitude.
float random_float(std::mt19937_64& engine, int range) {
  const std::uint64_t random = engine();
  const float mantissa = 1.0f + static_cast<float>(random & 0x7FFFFF) * 0x1p-23f;
  const int exponent = static_cast<int>(random >> 32 & 0xFFFF) % (2 * range + 1) - range;
  return std::ldexp((random >> 63) != 0 ? -mantissa : mantissa, exponent);
}

std::size_t repetitions() { return sample() ? 100'000 : 5'000'000; }

}  // namespace

TEST_CASE("scalar::fused rounds as std::fma, random values") {
  std::mt19937_64 engine = random_engine(1);
  Mismatches mismatches;
  for (std::size_t i = 0; i < repetitions(); ++i) {
    const int range = i % 3 == 0 ? 126 : i % 3 == 1 ? 30 : 2;
    mismatches.visit(random_float(engine, range), random_float(engine, range), random_float(engine, range));
  }
  expect_none(mismatches);
}

TEST_CASE("scalar::fused rounds as std::fma, next to the middle between two floats") {
  std::mt19937_64 engine = random_engine(2);
  Mismatches mismatches;
  for (std::size_t i = 0; i < repetitions(); ++i) {
    const float c = random_float(engine, 3);
    const float half_ulp = std::ldexp(1.0f, std::ilogb(c) - 24);
    const float nudge = 1.0f + random_float(engine, 1) * std::ldexp(1.0f, -static_cast<int>(engine() % 24));
    mismatches.visit(half_ulp, nudge, c);
    mismatches.visit(-half_ulp, 1.0f, c);
    mismatches.visit(1.0f + 0x1p-23f, half_ulp * (1.0f - 0x1p-23f), c);
    mismatches.visit(std::ldexp(half_ulp, -30), random_float(engine, 1), c);
    mismatches.visit(random_float(engine, 1), random_float(engine, 1), std::ldexp(c, -static_cast<int>(engine() % 60)));
  }
  expect_none(mismatches);
}

TEST_CASE("scalar::fused rounds as std::fma, special values") {
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  constexpr float kNormal = std::numeric_limits<float>::min();
  constexpr float kHuge = std::numeric_limits<float>::max();
  constexpr float kValues[] = {0.0f,    -0.0f,    1.0f,           -1.0f,    kTiny,          -kTiny, 3 * kTiny,
                               kNormal, -kNormal, 1.5f * kNormal, kHuge,    -kHuge,         kInf,   -kInf,
                               kNan,    0.5f,     0x1p-24f,       0x1p-75f, 1.0f + 0x1p-23f};
  Mismatches mismatches;
  for (float a : kValues)
    for (float b : kValues)
      for (float c : kValues) mismatches.visit(a, b, c);
  expect_none(mismatches);
}

}  // namespace edgeattn::test
