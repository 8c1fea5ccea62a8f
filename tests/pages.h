#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <new>
#include <span>

#include "support.h"

namespace edgeattn::test {

#if defined(__x86_64__) || defined(__i386__)
inline constexpr bool kHasMaskedLoads = true;
#else
inline constexpr bool kHasMaskedLoads = false;
#endif

/// Zeroed pages between two that nobody may touch: going past either end is a crash. (Emulated on x86, only writing is: QEMU 7.2
/// reads all lanes of a masked AVX load, where processors read the chosen ones.)
class Pages {
 public:
  explicit Pages(std::size_t bytes) {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    bytes_ = (bytes + page - 1) / page * page;
    mapped_ = bytes_ + 2 * page;
    void* const mapped = mmap(nullptr, mapped_, sample() && kHasMaskedLoads ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<std::byte*>(mapped);
    begin_ = base_ + page;
    writable(true);
  }
  ~Pages() { munmap(base_, mapped_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  std::byte* begin() const { return begin_; }
  std::byte* end() const { return begin_ + bytes_; }
  /// Until then, writing between the ends is a crash too.
  void writable(bool allowed) {
    if (mprotect(begin_, bytes_, allowed ? PROT_READ | PROT_WRITE : PROT_READ) != 0) throw std::bad_alloc();
  }

 private:
  std::size_t bytes_;
  std::size_t mapped_;
  std::byte* base_;
  std::byte* begin_;
};

/// Bytes that end right before a page that nobody may touch, as near as their alignment to 64 lets them.
class GuardedBytes {
 public:
  /// @param shift  if not zero, they begin `shift` bytes past a multiple of 4096 instead
  explicit GuardedBytes(std::size_t bytes, std::size_t alignment = 64, std::size_t shift = 0)
      : bytes_(bytes), pages_(bytes + shift + alignment), begin_(pages_.begin() + shift) {
    if (shift == 0) begin_ = pages_.end() - (bytes + alignment - 1) / alignment * alignment;
  }

  std::byte* data() const { return begin_; }
  float* floats() const { return reinterpret_cast<float*>(begin_); }
  std::size_t size() const { return bytes_; }
  std::span<std::byte> span() const { return {begin_, bytes_}; }
  void writable(bool allowed) { pages_.writable(allowed); }

  /// Whether the bytes on the same pages before and after these are zero, as they were in the beginning.
  bool margins_intact() const {
    const auto zero = [](std::byte value) { return value == std::byte{0}; };
    return std::all_of(pages_.begin(), begin_, zero) && std::all_of(begin_ + bytes_, pages_.end(), zero);
  }

 private:
  std::size_t bytes_;
  Pages pages_;
  std::byte* begin_;
};

}  // namespace edgeattn::test
