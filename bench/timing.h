#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bench_block.h"
#include "kernels.h"
#include "peak.h"
#include "plan/isa.h"

namespace edgeattn::bench {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Mean seconds of an iteration of `body`.
template <class Body>
double mean_seconds(benchmark::State& state, Body&& body) {
  const auto start = Clock::now();
  for (auto _ : state) body();
  return seconds_since(start) / static_cast<double>(state.iterations());
}

/// Seconds of the fastest iteration of `body`, for iterations that are long beside a look at the clock.
template <class Body>
double best_seconds(benchmark::State& state, Body&& body) {
  double best = std::numeric_limits<double>::infinity();
  for (auto _ : state) {
    const auto start = Clock::now();
    body();
    best = std::min(best, seconds_since(start));
  }
  return best;
}

/// Instruction sets that this build and this machine both have, scalar first.
inline std::vector<Isa> isas() {
  std::vector<Isa> found;
  for (Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kNeon})
    if (host().machine.has(isa) && kernels_built(kernel_set(isa))) found.push_back(isa);
  return found;
}

/// The FMA peak on `threads` threads, measured once.
inline double peak_gflops(std::size_t threads) {
  static std::map<std::size_t, double> measured;
  const auto [entry, missing] = measured.try_emplace(threads);
  if (missing) entry->second = fma_peak_gflops(isas().back(), threads);
  return entry->second;
}

/// Sets the counters of something that did `flops` operations in `seconds` on `threads` threads.
inline void count_flops(benchmark::State& state, double flops, double seconds, std::size_t threads) {
  const double gflops = flops / seconds * 1e-9;
  state.counters["GFLOP/s"] = gflops;
  state.counters["of_peak"] = gflops / peak_gflops(threads);
}

/// Registers something that may use several threads.
template <class Function>
void add_threaded_benchmark(const std::string& name, Function&& function) {
  auto* const added = benchmark::RegisterBenchmark(name.c_str(), std::forward<Function>(function));
  added->UseRealTime()->Unit(benchmark::kMillisecond);
}

}  // namespace edgeattn::bench
