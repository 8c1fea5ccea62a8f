#pragma once

#include <xnnpack.h>

#include <cstddef>
#include <span>

namespace edgeattn {

/// The allocator that XNNPACK is initialised with: malloc, unless the calling thread is inside an ArenaScope.
/// XNNPACK keeps a pointer to it for the life of the process.
const xnn_allocator& arena_allocator() noexcept;

/// While one is alive, XNNPACK's allocations on this thread come from its spans: the first from `object`, the second from
/// `packed`, and any other fails, as does one that does not fit. One at a time in the process.
class ArenaScope {
 public:
  explicit ArenaScope(std::span<std::byte> object, std::span<std::byte> packed = {}) noexcept;
  ~ArenaScope();
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

  /// Memory aligned to `alignment`, or null.
  void* allocate(std::size_t alignment, std::size_t bytes) noexcept;
  [[nodiscard]] bool contains(const void* pointer) const noexcept;

  [[nodiscard]] std::size_t allocations() const noexcept { return allocations_; }
  [[nodiscard]] std::size_t object_bytes() const noexcept { return bytes_[0]; }
  [[nodiscard]] std::size_t packed_bytes() const noexcept { return bytes_[1]; }

 private:
  std::span<std::byte> spans_[2];
  std::size_t allocations_ = 0;
  std::size_t bytes_[2] = {};
};

}  // namespace edgeattn
