#pragma once

#include <pthreadpool.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <type_traits>

#include "float_scope.h"
#include "thread_sanitizer.h"

namespace edgeattn {

/// Calls body(slot) once for every slot in [0, slots). Denormals are flushed meanwhile, as XNNPACK does, whatever mode the threads
/// of the pool are in.
template <class Body>
void for_each_slot(pthreadpool_t pool, std::size_t slots, Body&& body) noexcept {
  // In two places: in one, ThreadSanitizer would take the end of a slot for something that the start of another waits for.
  struct Task {
    std::remove_reference_t<Body>& body;
    char begun = 0, ended = 0;
  } task{body};
  const auto worker = [](void* context, std::size_t slot) {
    auto& in = *static_cast<Task*>(context);
    tsan::acquire(&in.begun);
    const FloatScope scope(Denormals::kFlushed);
    in.body(slot);
    tsan::release(&in.ended);
  };
  tsan::release(&task.begun);
  pthreadpool_parallelize_1d(pool, worker, &task, slots, /*flags=*/0);
  tsan::acquire(&task.ended);
}

/// Who shares a piece of work: `slots` slots from `first` on, as tasks on `pool`, or on the calling thread.
struct Team {
  pthreadpool_t pool = nullptr;
  std::size_t first = 0;
  std::size_t slots = 1;
};

/// Calls body(slot, item) once for every item in [0, items). The team's slots claim items from an atomic counter.
template <class Body>
void for_each_claimed(const Team& team, std::size_t items, Body&& body) noexcept {
  std::atomic<std::size_t> next{0};
  for_each_slot(team.pool, std::min(team.slots, items), [&](std::size_t member) {
    for (std::size_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < items;) body(team.first + member, item);
  });
}

}  // namespace edgeattn
