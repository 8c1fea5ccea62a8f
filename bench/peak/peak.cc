#include "peak.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "peak_loop.h"

namespace edgeattn {
namespace {

// Short, so that some go undisturbed on a busy machine.
constexpr std::size_t kTries = 50;
constexpr double kTrySeconds = 0.002;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

peak_fn* loop_of([[maybe_unused]] Isa isa) {
#if EDGEATTN_AVX512
  if (isa == Isa::kAvx512) return peak_avx512;
#endif
#if EDGEATTN_AVX2
  if (isa == Isa::kAvx2 || isa == Isa::kAvx512) return peak_avx2;
#endif
#if EDGEATTN_NEON
  if (isa == Isa::kNeon) return peak_neon;
#endif
  return peak_scalar;
}

/// Operands and result are volatile, so that nothing is computed ahead or left out; the accumulators tend to 2.
PeakWork work(peak_fn* loop, std::size_t rounds) {
  static volatile float factor = 0.5f, addend = 1.0f;
  [[maybe_unused]] static thread_local volatile float sink;
  const PeakWork done = loop(factor, addend, rounds);
  sink = done.sum;
  return done;
}

/// Rounds that take about kTrySeconds on one thread.
std::size_t rounds_of_a_try(peak_fn* loop) {
  for (std::size_t rounds = 1024;; rounds *= 2) {
    const Clock::time_point start = Clock::now();
    work(loop, rounds);
    const double seconds = seconds_since(start);
    if (seconds > kTrySeconds / 4) return static_cast<std::size_t>(static_cast<double>(rounds) * kTrySeconds / seconds);
  }
}

}  // namespace

double fma_peak_gflops(Isa isa, std::size_t threads) {
  peak_fn* const loop = loop_of(isa);
  const std::size_t rounds = rounds_of_a_try(loop);
  std::atomic<std::size_t> arrived{0};
  // Spins, for a thread that sleeps wakes too late.
  const auto meet = [&](std::size_t meeting) {
    arrived.fetch_add(1);
    while (arrived.load() < meeting * threads) std::this_thread::yield();
  };
  const auto timed_tries = [&] {
    double best = 0;
    for (std::size_t attempt = 0; attempt < kTries; ++attempt) {
      meet(2 * attempt + 1);
      const Clock::time_point start = Clock::now();
      const double flops = work(loop, rounds).flops;
      meet(2 * attempt + 2);
      best = std::max(best, flops * static_cast<double>(threads) / seconds_since(start));
    }
    return best * 1e-9;
  };
  std::vector<std::jthread> others;
  for (std::size_t i = 1; i < threads; ++i) others.emplace_back(timed_tries);
  return timed_tries();
}

}  // namespace edgeattn
