#include "machine/features.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

#include <cstdint>

namespace edgeattn {
namespace {

/// Register state that the operating system saves: XCR0 (Intel SDM vol. 1, 13.3).
std::uint64_t saved_state() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (std::uint64_t{high} << 32) | low;
}

constexpr bool all(std::uint64_t value, std::uint64_t bits) { return (value & bits) == bits; }

/// No flag tells how many units of 512 bits there are. Of Zen 5 (family 26) servers and desktops have two, and most mobile models
/// halve them (AMD, Software Optimization Guide for the Zen 5 Microarchitecture, 2.11).
bool is_wide_zen5() {
  constexpr unsigned kAuth = 0x68747541, kEnti = 0x69746E65, kCamd = 0x444D4163;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(0, &a, &b, &c, &d) || b != kAuth || d != kEnti || c != kCamd) return false;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
  const unsigned family = ((a >> 8) & 0xF) + ((a >> 20) & 0xFF), model = ((a >> 4) & 0xF) | ((a >> 12) & 0xF0);
  return family == 26 && (model < 0x20 || (model >= 0x40 && model < 0x50));
}

}  // namespace

CpuFeatures detect_features() noexcept {
  constexpr unsigned kFma = 1u << 12, kOsxsave = 1u << 27, kAvx = 1u << 28;                            // leaf 1, ecx
  constexpr unsigned kAvx2 = 1u << 5, kF = 1u << 16, kDq = 1u << 17, kBw = 1u << 30, kVl = 1u << 31;  // leaf 7, ebx
  constexpr unsigned kVnni = 1u << 11, kBf16 = 1u << 5;                                                // leaf 7, ecx; subleaf 1, eax
  constexpr std::uint64_t kYmm = 0x06, kZmm = 0xE6;

  CpuFeatures features;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !all(c, kFma | kOsxsave | kAvx)) return features;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return features;
  const std::uint64_t state = saved_state();
  features.avx2 = all(b, kAvx2) && all(state, kYmm);
  features.avx512 = features.avx2 && all(b, kF | kDq | kBw | kVl) && all(state, kZmm);
  if (!features.avx512) return features;
  features.avx512_vnni = all(c, kVnni);
  features.avx512_two_fma = is_wide_zen5();
  if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) features.avx512_bf16 = all(a, kBf16);
  return features;
}

}  // namespace edgeattn

#elif defined(__aarch64__)
#include <sys/auxv.h>

namespace edgeattn {

CpuFeatures detect_features() noexcept {
  // Not by the names of asm/hwcap.h: headers of older kernels lack some.
  constexpr unsigned long kFphp = 1ul << 9, kAsimdhp = 1ul << 10, kAsimddp = 1ul << 20;  // AT_HWCAP
  constexpr unsigned long kI8mm = 1ul << 13, kBf16 = 1ul << 14;                         // AT_HWCAP2
  const unsigned long first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
  return {.neon = true,
          .dotprod = (first & kAsimddp) != 0,
          .fp16 = (first & kFphp) != 0 && (first & kAsimdhp) != 0,
          .i8mm = (second & kI8mm) != 0,
          .bf16 = (second & kBf16) != 0};
}

}  // namespace edgeattn

#elif defined(__arm__)
#include <asm/hwcap.h>
#include <sys/auxv.h>

namespace edgeattn {

CpuFeatures detect_features() noexcept {
  const unsigned long capabilities = getauxval(AT_HWCAP);
  return {.neon = (capabilities & HWCAP_NEON) != 0 && (capabilities & HWCAP_VFPv4) != 0};
}

}  // namespace edgeattn

#else

namespace edgeattn {

CpuFeatures detect_features() noexcept { return {}; }

}  // namespace edgeattn

#endif
