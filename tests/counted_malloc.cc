#include "counted_malloc.h"

#include <malloc.h>

#include <atomic>
#include <cerrno>
#include <cstddef>

namespace {

std::atomic<long> allocations{0};
std::atomic<long> releases{0};
std::atomic<long> live_bytes{0};

// Of the calling thread. Allocations count down from `nth` while one is to fail, and go on below zero.
thread_local bool armed = false;
thread_local bool from_there_on = false;
thread_local long left = 0;

bool fails() {
  if (!armed) return false;
  --left;
  if (left > 0 || (left < 0 && !from_there_on)) return false;
  errno = ENOMEM;
  return true;
}

void* counted(void* pointer) {
  if (pointer != nullptr) {
    ++allocations;
    live_bytes += static_cast<long>(malloc_usable_size(pointer));
  }
  return pointer;
}

void count_release(void* pointer) {
  ++releases;
  live_bytes -= static_cast<long>(malloc_usable_size(pointer));
}

}  // namespace

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

void free(void* pointer) {
  if (pointer == nullptr) return;
  count_release(pointer);
  __libc_free(pointer);
}
void* malloc(size_t bytes) { return fails() ? nullptr : counted(__libc_malloc(bytes)); }
void* calloc(size_t count, size_t bytes) { return fails() ? nullptr : counted(__libc_calloc(count, bytes)); }
void* realloc(void* pointer, size_t bytes) {
  if (fails()) return nullptr;
  if (pointer != nullptr) count_release(pointer);
  return counted(__libc_realloc(pointer, bytes));
}
void* memalign(size_t alignment, size_t bytes) { return fails() ? nullptr : counted(__libc_memalign(alignment, bytes)); }
void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void** pointer, size_t alignment, size_t bytes) {
  *pointer = memalign(alignment, bytes);
  return *pointer != nullptr ? 0 : ENOMEM;
}
}

namespace edgeattn::test {

Counts count() { return {allocations.load(), releases.load(), live_bytes.load()}; }

FailingAllocation::FailingAllocation(long nth, Failing how) {
  left = nth;
  from_there_on = how == Failing::kFromThereOn;
  armed = true;
}

FailingAllocation::~FailingAllocation() { armed = false; }

bool FailingAllocation::happened() const { return left <= 0; }

}  // namespace edgeattn::test
