#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>

#include "edgeattn/block.h"

namespace edgeattn {

/// Time of every phase, added up by all workers.
struct PhaseTimes {
  std::atomic<std::int64_t> nanoseconds[kPhases] = {};

  void add_to(Profile& profile) const noexcept {
    for (std::size_t i = 0; i < kPhases; ++i)
      profile.seconds[i] += static_cast<double>(nanoseconds[i].load(std::memory_order_relaxed)) * 1e-9;
  }
};

/// Splits one worker's time into phases. Does nothing, and reads no clock, without times to add to.
class PhaseClock {
 public:
  explicit PhaseClock(PhaseTimes* times) noexcept : times_(times) {
    if (times_ != nullptr) last_ = now();
  }

  /// All time since the last mark was `phase`.
  void mark(Phase phase) noexcept {
    if (times_ == nullptr) return;
    const std::int64_t time = now();
    times_->nanoseconds[static_cast<std::size_t>(phase)].fetch_add(time - last_, std::memory_order_relaxed);
    last_ = time;
  }

 private:
  // Not std::chrono: it would be all that the core needs of the C++ runtime, which C hosts do not link.
  static std::int64_t now() noexcept {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  }

  PhaseTimes* times_;
  std::int64_t last_ = 0;
};

}  // namespace edgeattn
