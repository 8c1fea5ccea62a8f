#pragma once

#include <pthreadpool.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <type_traits>

namespace edgeattn {

/// Calls body(slot) once for every slot in [0, slots). Denormals are flushed meanwhile, as XNNPACK does.
template <class Body>
void for_each_slot(pthreadpool_t pool, std::size_t slots, Body&& body) noexcept {
  const auto worker = [](void* context, std::size_t slot) { (*static_cast<std::remove_reference_t<Body>*>(context))(slot); };
  pthreadpool_parallelize_1d(pool, worker, &body, slots, PTHREADPOOL_FLAG_DISABLE_DENORMALS);
}

/// Calls body(item) once for every item in [0, items). Each of at most `slots` workers claims items from an atomic counter.
template <class Body>
void for_each_claimed(pthreadpool_t pool, std::size_t slots, std::size_t items, Body&& body) noexcept {
  std::atomic<std::size_t> next{0};
  for_each_slot(pool, std::min(slots, items), [&](std::size_t) {
    for (std::size_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < items;) body(item);
  });
}

}  // namespace edgeattn
