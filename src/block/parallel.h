#pragma once

#include <pthreadpool.h>

#include <algorithm>
#include <atomic>
#include <cstddef>

namespace edgeattn {

/// Calls body(slot, item) once for every item in [0, items). Each of at most `slots` workers claims items from an atomic
/// counter; a slot is used by one worker at a time. Denormals are flushed meanwhile, as XNNPACK does.
template <class Body>
void for_each_claimed(pthreadpool_t pool, std::size_t slots, std::size_t items, Body&& body) noexcept {
  struct Work {
    Body& body;
    std::size_t items;
    std::atomic<std::size_t> next{0};
  } work{.body = body, .items = items};
  const auto worker = [](void* context, std::size_t slot) {
    auto& shared = *static_cast<Work*>(context);
    for (std::size_t item; (item = shared.next.fetch_add(1, std::memory_order_relaxed)) < shared.items;)
      shared.body(slot, item);
  };
  pthreadpool_parallelize_1d(pool, worker, &work, std::min(slots, items), PTHREADPOOL_FLAG_DISABLE_DENORMALS);
}

}  // namespace edgeattn
