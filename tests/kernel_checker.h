#pragma once

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "kernels.h"
#include "pages.h"
#include "support.h"

namespace edgeattn::test {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNonFinite[] = {kNan, kInf, -kInf};

/// Whether the kernels may raise exception flags just now, which they may not on finite data.
inline bool flags_may_rise = false;

/// While one is alive, what kernels are given is not finite.
class NotFinite {
 public:
  explicit NotFinite(bool holds = true) { flags_may_rise = holds; }
  ~NotFinite() { flags_may_rise = false; }
  NotFinite(const NotFinite&) = delete;
  NotFinite& operator=(const NotFinite&) = delete;
};

inline std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }

/// Whether two results count as the same: equal bits, or both NaN.
inline bool same(float a, float b) { return bits_of(a) == bits_of(b) || (std::isnan(a) && std::isnan(b)); }

/// Distance of a float from an exact value ≥ 2⁻¹²⁶, in units of the last place that floats have there.
inline double ulp_error(float actual, double exact) {
  const std::uint64_t exponent = std::bit_cast<std::uint64_t>(exact) >> 52;
  const double per_ulp = std::bit_cast<double>((2 * 1023 + 23 - exponent) << 52);
  return std::abs(static_cast<double>(actual) - exact) * per_ulp;
}

/// Where buffers lie between two pages without access.
enum class Placement : std::uint8_t {
  kEnd,    ///< right before the second, as near as their alignment lets them
  kBegin,  ///< right after the first
  kMoved,  ///< somewhere between, each at another residue of its address modulo 64 than the last, if its alignment lets it
};

/// Where all buffers lie that are made from now on.
inline Placement buffer_placement = Placement::kEnd;

/// Values, whole multiples of 4 bytes of them, between two pages that nobody may touch. All start as a canary, a NaN that no kernel makes,
/// and so does what lies around them: comparing with an expected buffer also finds what should not have been written.
template <class Value>
class Guarded {
 public:
  explicit Guarded(std::size_t count, std::size_t alignment = alignof(Value))
      : count_(count), pages_(count * sizeof(Value) + 2 * kMargin * sizeof(double)) {
    std::byte* begin = pages_.begin();
    if (buffer_placement != Placement::kBegin) {
      begin = pages_.end() - count * sizeof(Value);
      if (buffer_placement == Placement::kMoved) begin -= moved_ = (moved_ + 5 * sizeof(float)) % (kMargin * sizeof(float));
      begin -= reinterpret_cast<std::uintptr_t>(begin) % alignment;
    }
    data_ = reinterpret_cast<Value*>(begin);
    for (std::byte* at = from(); at < to(); at += sizeof(float)) std::memcpy(at, &kCanary, sizeof kCanary);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  std::size_t size() const { return count_; }
  Value* data() { return data_; }
  Value& operator[](std::size_t i) { return data_[i]; }
  Value operator[](std::size_t i) const { return data_[i]; }
  static bool is_canary(float value) { return bits_of(value) == kCanary; }

  void copy(const Guarded& other) { std::copy_n(other.data_, count_, data_); }

  /// Whether the memory around the values is untouched.
  bool margins_intact() const {
    const auto intact = [](const std::byte* at, const std::byte* end) {
      for (; at < end; at += sizeof(float))
        if (std::memcmp(at, &kCanary, sizeof kCanary) != 0) return false;
      return true;
    };
    return intact(from(), first()) && intact(first() + count_ * sizeof(Value), to());
  }

 private:
  static constexpr std::uint32_t kCanary = 0x7FE5A5A5;
  static constexpr std::size_t kMargin = 64;
  static inline std::size_t moved_ = 0;

  std::byte* first() const { return reinterpret_cast<std::byte*>(data_); }
  std::byte* from() const { return std::max(pages_.begin(), first() - kMargin * sizeof(float)); }
  std::byte* to() const { return std::min(pages_.end(), first() + count_ * sizeof(Value) + kMargin * sizeof(float)); }

  std::size_t count_;
  Pages pages_;
  Value* data_;
};
using Buffer = Guarded<float>;

/// What the checkers collect: the first problem found, a digest of every result, for runs that must give the same bits, and
/// results with their bounds, for variants that need not.
class Findings {
 public:
  /// A result whose contract lets it err by `bound`.
  struct Bounded {
    double value;
    double bound;
  };

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

  /// A result that may differ from another variant's by the sum of both bounds.
  template <class Result>
  void add(Result result, double bound) {
    add(result);
    bounded_.push_back({static_cast<double>(result), bound});
  }

  /// `describe` makes the text of the failing case, and runs only when it is needed.
  template <class Describe>
  void require(bool good, Describe describe) {
    if (!good && problem_.empty()) problem_ = describe();
  }

  /// Every byte the same as expected, canaries and margins included; for buffers of bytes and of 16-bit floats.
  template <class Value, class Describe>
  void require_same_bytes(const Guarded<Value>& actual, const Guarded<Value>& expected, Describe describe) {
    require(actual.margins_intact(), [&] { return describe() + ": wrote outside the buffer"; });
    for (std::size_t i = 0; i < actual.size(); ++i) {
      require(actual[i] == expected[i], [&] {
        return describe() + ": element " + std::to_string(i) + " is " + std::to_string(actual[i]) + ", expected " +
               std::to_string(expected[i]);
      });
    }
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
  const std::vector<Bounded>& bounded() const { return bounded_; }
  std::size_t results() const { return results_; }

 private:
  std::string problem_;
  std::uint64_t digest_ = 0xCBF29CE484222325u;
  std::size_t results_ = 0;
  std::vector<Bounded> bounded_;
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

/// A table of kernels that has none.
inline Kernels without_entries(const Kernels&) { return {}; }

/// Sizes: every tail up to 2·lanes + 1 of the widest vectors, and larger ones.
inline constexpr std::size_t kMostLanes = 16;
inline constexpr std::size_t kEveryTail = 2 * kMostLanes + 1;
inline constexpr std::size_t kLarger[] = {48, 63, 64, 65, 100, 129, 257};

/// Calls body(a, b) for every pair of tails, and for larger sizes with some; a sample has every tail of one with some of the other.
template <class Body>
void for_sizes(Body body) {
  for (std::size_t a = 1; a <= kEveryTail; ++a) {
    for (std::size_t b = 1; b <= kEveryTail; ++b)
      if (!sample() || (a + 3 * b) % 7 == 0 || a * b <= kMostLanes) body(a, b);
    for (std::size_t large : kLarger)
      if ((a + large) % (sample() ? 16 : 4) == 1) body(a, large), body(large, a);
  }
}

/// Checks one entry of a table against its contract, over hostile sizes.
template <class Table>
using CheckOf = void(const Table& table, Findings& findings);
using Check = CheckOf<Kernels>;

Check check_statistics, check_pack, check_unpack_rows, check_fold, check_transpose;
Check check_exp2, check_softmax, check_accumulate, check_normalize_rows, check_poison_rows, check_add_residual, check_gemm;

/// Checks pack_any_scalar and unpack_rows_any_scalar.
Check check_any_layout;

/// Nanoseconds of one entry for each element, on sizes of a tile or of a strip, in memory that the caches hold.
template <class Table>
using TimingOf = double(const Table& table);
using Timing = TimingOf<Kernels>;

Timing time_statistics, time_pack, time_unpack_rows, time_fold, time_transpose;
Timing time_exp2, time_softmax, time_accumulate, time_normalize_rows, time_poison_rows, time_add_residual, time_gemm;

}  // namespace edgeattn::test
