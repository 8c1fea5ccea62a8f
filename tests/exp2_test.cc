#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <thread>
#include <vector>

#include "kernel_checker.h"
#include "support.h"

namespace edgeattn::test {
namespace {

constexpr double kMaxUlp = 2;  // of exp2_fn's contract
constexpr std::uint32_t kMinusZero = 0x80000000;
constexpr std::uint32_t kLowest = 0xC2FC0000;  // -126

struct Worst {
  double ulp = 0;
  float at = 0;
};

/// Every `step`-th float of the bit patterns first … last.
Worst worst_of(exp2_fn* exp2, std::uint32_t first, std::uint32_t last, std::uint32_t step) {
  constexpr std::size_t kChunk = 4096;
  std::vector<float> x(kChunk);
  std::vector<float> result(kChunk);
  Worst worst;
  for (std::uint64_t next = first; next <= last;) {
    std::size_t count = 0;
    for (; count < kChunk && next <= last; next += step)
      x[count++] = std::bit_cast<float>(static_cast<std::uint32_t>(next));
    exp2(x.data(), result.data(), count);
    for (std::size_t i = 0; i < count; ++i) {
      const double ulp = ulp_error(result[i], std::exp2(static_cast<double>(x[i])));
      if (!(ulp <= worst.ulp)) worst = {ulp, x[i]};
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("exp2 errs by at most 2 ULP on every float of [-126, 0]") {
  static_assert(std::bit_cast<float>(kLowest) == -126.0f);
  Kernels kernels;
  kernels_init(kernels, kernel_set());
  const std::uint32_t step = sample() ? 4099 : 1;
  constexpr std::uint32_t kMiddle = kMinusZero + (kLowest - kMinusZero) / 2;
  Worst halves[2];
  std::thread other([&] { halves[0] = worst_of(kernels.exp2, kMinusZero, kMiddle, step); });
  halves[1] = worst_of(kernels.exp2, kMiddle + 1, kLowest, step);
  other.join();
  const Worst worst = halves[0].ulp > halves[1].ulp ? halves[0] : halves[1];
  std::printf("exp2: max error %.4f ULP at %a\n", worst.ulp, static_cast<double>(worst.at));
  CHECK(worst.ulp <= kMaxUlp);
}

TEST_CASE("exp2 of whole numbers is exact") {
  Kernels kernels;
  kernels_init(kernels, kernel_set());
  for (int n = -126; n <= 0; ++n) {
    const float x = static_cast<float>(n);
    float result = kNan;
    kernels.exp2(&x, &result, 1);
    CHECK(result == std::ldexp(1.0f, n));
  }
}

TEST_CASE("exp2 is 0 below -126 and NaN for NaN") {
  Kernels kernels;
  kernels_init(kernels, kernel_set());
  const std::uint32_t step = sample() ? 100'003 : 257;
  std::size_t wrong = 0;
  for (std::uint64_t next = std::uint64_t{kLowest} + 1; next <= 0xFFFFFFFF; next += step) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(next));
    const float positive = std::bit_cast<float>(static_cast<std::uint32_t>(next) & 0x7FFFFFFF);
    float result[2];
    kernels.exp2(&x, &result[0], 1);
    kernels.exp2(&positive, &result[1], 1);
    if (std::isnan(x) ? !std::isnan(result[0]) || !std::isnan(result[1]) : bits_of(result[0]) != 0) ++wrong;
  }
  CHECK(wrong == 0);
}

}  // namespace edgeattn::test
