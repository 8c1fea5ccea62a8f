#include "allocations.h"

#include <malloc.h>

#include <atomic>
#include <cerrno>
#include <cstddef>

namespace {

std::atomic<long> allocations{0};
std::atomic<long> releases{0};
std::atomic<long> live_bytes{0};

}  // namespace

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

static void* counted(void* pointer) {
  if (pointer != nullptr) {
    ++allocations;
    live_bytes += static_cast<long>(malloc_usable_size(pointer));
  }
  return pointer;
}

void free(void* pointer) {
  if (pointer == nullptr) return;
  ++releases;
  live_bytes -= static_cast<long>(malloc_usable_size(pointer));
  __libc_free(pointer);
}
void* malloc(size_t bytes) { return counted(__libc_malloc(bytes)); }
void* calloc(size_t count, size_t bytes) { return counted(__libc_calloc(count, bytes)); }
void* realloc(void* pointer, size_t bytes) {
  if (pointer != nullptr) {
    ++releases;
    live_bytes -= static_cast<long>(malloc_usable_size(pointer));
  }
  return counted(__libc_realloc(pointer, bytes));
}
void* memalign(size_t alignment, size_t bytes) { return counted(__libc_memalign(alignment, bytes)); }
void* aligned_alloc(size_t alignment, size_t bytes) { return counted(__libc_memalign(alignment, bytes)); }
int posix_memalign(void** pointer, size_t alignment, size_t bytes) {
  *pointer = counted(__libc_memalign(alignment, bytes));
  return *pointer != nullptr ? 0 : ENOMEM;
}
}

namespace sampler {

AllocationCounts count_allocations() noexcept {
  return {.allocations = allocations.load(), .releases = releases.load(), .live_bytes = live_bytes.load()};
}

}  // namespace sampler
