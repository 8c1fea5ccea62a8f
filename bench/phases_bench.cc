// How a run's time is spent, phase by phase.

#include "benchmarks.h"
#include "model_shapes.h"
#include "timing.h"

namespace edgeattn::bench {
namespace {

bool is_gemm(Phase phase) {
  return phase == Phase::kProject || phase == Phase::kScores || phase == Phase::kMix || phase == Phase::kOut;
}

void time_phases(benchmark::State& state, const ModelShape& model, std::size_t threads) {
  BoundBlock block(model.spec(), model.shape(), {.threads = threads});
  block.run();
  Profile profile;
  const double run_seconds = mean_seconds(state, [&] { block.run(&profile); });

  const double shares = static_cast<double>(state.iterations()) * static_cast<double>(threads);
  double busy = 0, besides_gemms = 0;
  for (std::size_t i = 1; i < kPhases; ++i) {
    const auto phase = static_cast<Phase>(i);
    const double seconds = profile.seconds[i] / shares;
    state.counters[text(to_string(phase), "_s")] = seconds;
    busy += seconds;
    if (!is_gemm(phase)) besides_gemms += seconds;
  }
  state.counters["besides_gemms"] = besides_gemms / busy;
  state.counters["busy"] = busy / run_seconds;
}

}  // namespace

void add_phases() {
  for (const ModelShape& model : kModelShapes) {
    for (std::size_t threads : thread_counts()) {
      add_threaded_benchmark(text("BM_phases/", model.name(), "/threads:", threads),
                             [=](benchmark::State& state) { time_phases(state, model, threads); });
    }
  }
}

}  // namespace edgeattn::bench
