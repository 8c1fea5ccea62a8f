#pragma once

#include <atomic>
#include <chrono>
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
    if (times_ != nullptr) last_ = Clock::now();
  }

  /// All time since the last mark was `phase`.
  void mark(Phase phase) noexcept {
    if (times_ == nullptr) return;
    const Clock::time_point now = Clock::now();
    const auto elapsed = std::chrono::duration_cast<std::chrono::nanoseconds>(now - last_).count();
    times_->nanoseconds[static_cast<std::size_t>(phase)].fetch_add(elapsed, std::memory_order_relaxed);
    last_ = now;
  }

 private:
  using Clock = std::chrono::steady_clock;
  PhaseTimes* times_;
  Clock::time_point last_;
};

}  // namespace edgeattn
