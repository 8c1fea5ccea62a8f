#pragma once

#include <sys/mman.h>
#include <unistd.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <string>

#include "kernels.h"
#include "support.h"

namespace edgeattn::test {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNonFinite[] = {kNan, kInf, -kInf};

inline std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }

/// Whether two results count as the same: equal bits, or both NaN.
inline bool same(float a, float b) { return bits_of(a) == bits_of(b) || (std::isnan(a) && std::isnan(b)); }

/// Distance of a float from an exact value ≥ 2⁻¹²⁶, in units of the last place that floats have there.
inline double ulp_error(float actual, double exact) {
  const std::uint64_t exponent = std::bit_cast<std::uint64_t>(exact) >> 52;
  const double per_ulp = std::bit_cast<double>((2 * 1023 + 23 - exponent) << 52);
  return std::abs(static_cast<double>(actual) - exact) * per_ulp;
}

#if defined(__x86_64__) || defined(__i386__)
inline constexpr bool kHasMaskedLoads = true;
#else
inline constexpr bool kHasMaskedLoads = false;
#endif

/// Floats that end where a page without access begins: reading past them is a crash. (Emulated on x86, only writing is:
/// QEMU 7.2 reads all lanes of a masked AVX load, where processors read the chosen ones.) All floats start as a canary,
/// a NaN that no kernel makes, so that comparing with an expected buffer also finds what should not have been written.
class Buffer {
 public:
  /// Bytes between a buffer's end and the page's; moves all buffers made afterwards to other addresses.
  static inline std::size_t shift_bytes = 0;

  explicit Buffer(std::size_t count, std::size_t alignment = sizeof(float)) : count_(count) {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t bytes = count * sizeof(float) + shift_bytes + alignment + kMargin * sizeof(float);
    usable_ = (bytes + page - 1) / page * page;
    mapped_ = usable_ + page;
    base_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base_ == MAP_FAILED) throw std::bad_alloc();
    mprotect(static_cast<char*>(base_) + usable_, page, sample() && kHasMaskedLoads ? PROT_READ : PROT_NONE);
    const std::size_t begin = (usable_ - shift_bytes - count * sizeof(float)) / alignment * alignment;
    data_ = reinterpret_cast<float*>(static_cast<char*>(base_) + begin);
    for (float* at = data_ - kMargin; at < end_of_page(); ++at) *at = std::bit_cast<float>(kCanary);
  }
  ~Buffer() { munmap(base_, mapped_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::size_t size() const { return count_; }
  float* data() { return data_; }
  float& operator[](std::size_t i) { return data_[i]; }
  float operator[](std::size_t i) const { return data_[i]; }
  static bool is_canary(float value) { return bits_of(value) == kCanary; }

  void copy(const Buffer& from) {
    for (std::size_t i = 0; i < count_; ++i) data_[i] = from[i];
  }

  /// Whether the memory around the floats is untouched.
  bool margins_intact() const {
    for (const float* at = data_ - kMargin; at < data_; ++at)
      if (!is_canary(*at)) return false;
    for (const float* at = data_ + count_; at < end_of_page(); ++at)
      if (!is_canary(*at)) return false;
    return true;
  }

 private:
  static constexpr std::uint32_t kCanary = 0x7FE5A5A5;
  static constexpr std::size_t kMargin = 64;

  float* end_of_page() const { return reinterpret_cast<float*>(static_cast<char*>(base_) + usable_); }

  std::size_t count_;
  std::size_t usable_;
  std::size_t mapped_;
  void* base_;
  float* data_;
};

/// What the checkers collect: the first problem found, and a digest of every result, for runs that must give the same
/// bits.
class Findings {
 public:
  void add(float result) {
    const std::uint32_t bits = std::isnan(result) ? 0x7FC00000 : bits_of(result);
    digest_ = (digest_ ^ bits) * 0x100000001B3u;
    ++results_;
  }
  void add(double result) {
    const float high = static_cast<float>(result);
    add(high);
    if (std::isfinite(high)) add(static_cast<float>(result - static_cast<double>(high)));
  }

  /// `describe` makes the text of the failing case, and runs only when it is needed.
  template <class Describe>
  void require(bool good, Describe describe) {
    if (!good && problem_.empty()) problem_ = describe();
  }

  /// Every element the same as expected, canaries and margins included.
  template <class Describe>
  void require_same(const Buffer& actual, const Buffer& expected, Describe describe) {
    require(actual.margins_intact(), [&] { return describe() + ": wrote outside the buffer"; });
    for (std::size_t i = 0; i < actual.size(); ++i) {
      const bool good = Buffer::is_canary(expected[i]) ? Buffer::is_canary(actual[i]) : same(actual[i], expected[i]);
      require(good, [&] {
        return describe() + ": element " + std::to_string(i) + " is " + std::to_string(actual[i]) + ", expected " +
               (Buffer::is_canary(expected[i]) ? "untouched" : std::to_string(expected[i]));
      });
      add(actual[i]);
    }
  }

  const std::string& problem() const { return problem_; }
  std::uint64_t digest() const { return digest_; }
  std::size_t results() const { return results_; }

 private:
  std::string problem_;
  std::uint64_t digest_ = 0xCBF29CE484222325u;
  std::size_t results_ = 0;
};

/// Flushes denormals to zero while it lives, where the processor can.
class DenormalMode {
 public:
  explicit DenormalMode(bool flush) : before_(control()) { set(flush ? before_ | kFlush : before_); }
  ~DenormalMode() { set(before_); }
  DenormalMode(const DenormalMode&) = delete;
  DenormalMode& operator=(const DenormalMode&) = delete;

  /// The control bits; a kernel must leave them as they are.
  static std::uint32_t control() {
#if defined(__SSE2__)
    return _mm_getcsr() & ~kStatus;
#elif defined(__aarch64__)
    return __builtin_aarch64_get_fpcr();
#elif defined(__arm__)
    return __builtin_arm_get_fpscr() & ~kStatus;
#else
    return 0;
#endif
  }

 private:
#if defined(__SSE2__)
  static constexpr std::uint32_t kFlush = 0x8040;
  static constexpr std::uint32_t kStatus = 0x3F;
#else  // FPCR of aarch64, FPSCR of armv7: FZ; flags of comparisons, saturation and exceptions
  static constexpr std::uint32_t kFlush = 1u << 24;
  static constexpr std::uint32_t kStatus = 0xF800009F;
#endif

  static void set([[maybe_unused]] std::uint32_t control) {
#if defined(__SSE2__)
    _mm_setcsr(control);
#elif defined(__aarch64__)
    __builtin_aarch64_set_fpcr(control);
#elif defined(__arm__)
    __builtin_arm_set_fpscr(control);
#endif
  }

  std::uint32_t before_;
};

/// Checks one entry of the table against its contract, over hostile sizes.
using Check = void(const Kernels& kernels, Findings& findings);

Check check_statistics, check_pack, check_unpack_rows, check_fold, check_transpose;
Check check_exp2, check_softmax, check_accumulate, check_normalize_rows, check_poison_rows, check_add_residual;

/// Checks pack_any_scalar and unpack_rows_any_scalar.
Check check_any_layout;

}  // namespace edgeattn::test
