#pragma once

#include <cstdint>

namespace edgeattn {

/// What arithmetic does with numbers below the smallest normal one.
enum class Denormals : std::uint8_t { kKept, kFlushed };

/// While one is alive, this thread's floating-point arithmetic is ours: to nearest, all exceptions masked. What the caller had, its
/// exception flags among it, is back when the scope ends; so a host's traps never meet our arithmetic, nor its flags our rounding.
/// Scopes nest. On x86 that is MXCSR: nothing here computes with the x87 unit, which stays as it is.
class FloatScope {
 public:
  explicit FloatScope([[maybe_unused]] Denormals denormals) noexcept {
#if defined(__SSE__)
    // Through memory, as all of these: the compiler may move no load or store of a number across it.
    __asm__ volatile("stmxcsr %0" : "=m"(control_) : : "memory");
    const std::uint32_t ours = kMaskedToNearest | (denormals == Denormals::kFlushed ? kFlushed : 0);
    __asm__ volatile("ldmxcsr %0" : : "m"(ours) : "memory");
#elif defined(__aarch64__)
    __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(control_), "=r"(flags_) : : "memory");
    __asm__ volatile("msr fpcr, %0" : : "r"(denormals == Denormals::kFlushed ? kFlushed : std::uint64_t{0}) : "memory");
#elif defined(__ARM_FP)
    __asm__ volatile("vmrs %0, fpscr" : "=r"(control_) : : "memory");
    __asm__ volatile("vmsr fpscr, %0" : : "r"(denormals == Denormals::kFlushed ? kFlushed : 0) : "memory");
#endif
  }

  ~FloatScope() {
#if defined(__SSE__)
    __asm__ volatile("ldmxcsr %0" : : "m"(control_) : "memory");
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0\n\tmsr fpsr, %1" : : "r"(control_), "r"(flags_) : "memory");
#elif defined(__ARM_FP)
    __asm__ volatile("vmsr fpscr, %0" : : "r"(control_) : "memory");
#endif
  }

  FloatScope(const FloatScope&) = delete;
  FloatScope& operator=(const FloatScope&) = delete;

 private:
#if defined(__SSE__)
  static constexpr std::uint32_t kMaskedToNearest = 0x1F80;
  static constexpr std::uint32_t kFlushed = 0x8040;  // results, and operands
  std::uint32_t control_;
#elif defined(__aarch64__)
  static constexpr std::uint64_t kFlushed = 0x1080000;  // FZ, and FZ16 of half precision
  std::uint64_t control_;
  std::uint64_t flags_;
#elif defined(__ARM_FP)
  static constexpr std::uint32_t kFlushed = 0x1000000;
  std::uint32_t control_;  // the flags among it
#endif
};

}  // namespace edgeattn
