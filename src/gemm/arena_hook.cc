#include "gemm/arena_hook.h"

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <iterator>

namespace edgeattn {
namespace {

// Not thread-local: there is one scope at a time, and thread-local storage of a library that is loaded at run time is either refused
// (initial-exec, by musl) or made by malloc on a thread's first use. Who sees a scope sees its thread, for that is stored first; only
// the thread itself can find its own name there.
std::atomic<pthread_t> scope_thread{};
std::atomic<ArenaScope*> scope{nullptr};

/// The scope that the calling thread is inside; null for none.
ArenaScope* current_scope() noexcept {
  ArenaScope* const found = scope.load(std::memory_order_acquire);
  if (found == nullptr) return nullptr;
  return pthread_equal(scope_thread.load(std::memory_order_relaxed), pthread_self()) != 0 ? found : nullptr;
}

constexpr std::size_t kMallocAlignment = alignof(std::max_align_t);

void* allocate(void*, std::size_t bytes) {
  ArenaScope* const arena = current_scope();
  return arena != nullptr ? arena->allocate(kMallocAlignment, bytes) : std::malloc(bytes);
}

void* reallocate(void*, void* pointer, std::size_t bytes) {
  ArenaScope* const arena = current_scope();
  if (arena == nullptr) return std::realloc(pointer, bytes);
  // The old size is not known inside a scope; creating a fully connected operator never grows anything.
  return pointer == nullptr ? arena->allocate(kMallocAlignment, bytes) : nullptr;
}

void deallocate(void*, void* pointer) {
  const ArenaScope* const arena = current_scope();
  if (arena == nullptr || !arena->contains(pointer)) std::free(pointer);
}

void* aligned_allocate(void*, std::size_t alignment, std::size_t bytes) {
  if (ArenaScope* const arena = current_scope(); arena != nullptr) return arena->allocate(alignment, bytes);
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
  scope_thread.store(pthread_self(), std::memory_order_relaxed);
  scope.store(this, std::memory_order_release);
}

ArenaScope::~ArenaScope() { scope.store(nullptr, std::memory_order_relaxed); }

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
