#include "gemm/arena_hook.h"

#include <cstdint>
#include <cstdlib>
#include <iterator>

namespace edgeattn {
namespace {

// Initial-exec: lazily made thread-local storage may call malloc on a thread's first use.
#if defined(__GNUC__)
__attribute__((tls_model("initial-exec")))
#endif
thread_local ArenaScope* current_scope = nullptr;

constexpr std::size_t kMallocAlignment = alignof(std::max_align_t);

void* allocate(void*, std::size_t bytes) {
  return current_scope != nullptr ? current_scope->allocate(kMallocAlignment, bytes) : std::malloc(bytes);
}

void* reallocate(void*, void* pointer, std::size_t bytes) {
  if (current_scope == nullptr) return std::realloc(pointer, bytes);
  // The old size is not known inside a scope; creating a fully connected operator never grows anything.
  return pointer == nullptr ? current_scope->allocate(kMallocAlignment, bytes) : nullptr;
}

void deallocate(void*, void* pointer) {
  if (current_scope == nullptr || !current_scope->contains(pointer)) std::free(pointer);
}

void* aligned_allocate(void*, std::size_t alignment, std::size_t bytes) {
  if (current_scope != nullptr) return current_scope->allocate(alignment, bytes);
  void* pointer = nullptr;
  return posix_memalign(&pointer, alignment, bytes) == 0 ? pointer : nullptr;
}

constexpr xnn_allocator kAllocator{
    .context = nullptr,
    .allocate = allocate,
    .reallocate = reallocate,
    .deallocate = deallocate,
    .aligned_allocate = aligned_allocate,
    .aligned_deallocate = deallocate,
};

bool inside(std::span<std::byte> span, const void* pointer) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  const auto begin = reinterpret_cast<std::uintptr_t>(span.data());
  return address >= begin && address - begin < span.size();
}

}  // namespace

const xnn_allocator& arena_allocator() noexcept { return kAllocator; }

ArenaScope::ArenaScope(std::span<std::byte> object, std::span<std::byte> packed) noexcept : spans_{object, packed} {
  current_scope = this;
}

ArenaScope::~ArenaScope() { current_scope = nullptr; }

void* ArenaScope::allocate(std::size_t alignment, std::size_t bytes) noexcept {
  if (allocations_ >= std::size(spans_)) return nullptr;
  const std::span<std::byte> span = spans_[allocations_];
  if (bytes > span.size() || reinterpret_cast<std::uintptr_t>(span.data()) % alignment != 0) return nullptr;
  bytes_[allocations_++] = bytes;
  return span.data();
}

bool ArenaScope::contains(const void* pointer) const noexcept {
  return inside(spans_[0], pointer) || inside(spans_[1], pointer);
}

}  // namespace edgeattn
