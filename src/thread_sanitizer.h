#pragma once

#include <cstddef>

#if defined(__SANITIZE_THREAD__)
#define EDGEATTN_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EDGEATTN_TSAN 1
#endif
#endif
#ifndef EDGEATTN_TSAN
#define EDGEATTN_TSAN 0
#endif

#if EDGEATTN_TSAN
extern "C" {
void __tsan_acquire(void* at);
void __tsan_release(void* at);
void __tsan_read_range(void* begin, unsigned long bytes);
void __tsan_write_range(void* begin, unsigned long bytes);
}
#endif

/// Tells ThreadSanitizer what XNNPACK and pthreadpool do, which Debian builds without it. Nothing, in builds without it.
namespace edgeattn::tsan {

/// What this thread did before release(at) happens before what others do after acquire(at).
inline void release([[maybe_unused]] const void* at) noexcept {
#if EDGEATTN_TSAN
  __tsan_release(const_cast<void*>(at));
#endif
}
inline void acquire([[maybe_unused]] const void* at) noexcept {
#if EDGEATTN_TSAN
  __tsan_acquire(const_cast<void*>(at));
#endif
}

/// This thread reads, or writes, these bytes.
inline void reads([[maybe_unused]] const void* begin, [[maybe_unused]] std::size_t bytes) noexcept {
#if EDGEATTN_TSAN
  __tsan_read_range(const_cast<void*>(begin), bytes);
#endif
}
inline void writes([[maybe_unused]] void* begin, [[maybe_unused]] std::size_t bytes) noexcept {
#if EDGEATTN_TSAN
  __tsan_write_range(begin, bytes);
#endif
}

}  // namespace edgeattn::tsan
