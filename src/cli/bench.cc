#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "cli/bound_block.h"
#include "cli/check_writable.h"
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/places.h"
#include "cli/progress.h"
#include "cli/stopwatch.h"
#include "cli/text.h"
#include "edgeattn/io.h"
#include "gemm/builtin.h"
#include "peak.h"

namespace edgeattn::cli {
namespace {

constexpr std::uint64_t kWeightsSeed = 1, kInputSeed = 2;
constexpr std::size_t kLeastReps = 5;
constexpr double kDefaultMs = 1000;

/// The instruction set of the products, whose peak is measured. XNNPACK takes the best that the machine has.
Isa product_isa(const Plan& plan) { return builtin::is_name(plan.gemm_name) ? plan.isa : plan.machine.best_isa(); }

io::BlockWeights weights_of(const Spec& spec) {
  io::BlockWeights weights;
  check(io::random_block(spec, kWeightsSeed, weights));
  return weights;
}

std::vector<float> random_input(const Plan& plan) {
  std::mt19937_64 engine(kInputSeed);
  std::normal_distribution<float> normal;
  std::vector<float> x(plan.shape.batch * plan.spec.channels * plan.shape.tokens());
  for (float& value : x) value = normal(engine);
  return x;
}

/// Takes over the phases of a run that was faster than all before it.
void keep_faster(const Profile& profile, io::BenchReport& report) {
  double phase_ms[kPhases];
  std::transform(profile.seconds, profile.seconds + kPhases, phase_ms,
                 [&](double seconds) { return seconds * 1e3 / static_cast<double>(report.plan.threads); });
  const double all = std::accumulate(phase_ms, phase_ms + kPhases, 0.0);
  if (report.phases_ms() == 0 || all < report.phases_ms()) std::copy_n(phase_ms, kPhases, report.phase_ms);
}

/// Runs the block in pairs, one for its time and one for the phases, and fills in what that measures.
void measure(BoundBlock& block, std::size_t reps, io::BenchReport& report) {
  const std::vector<float> x = random_input(report.plan);
  std::vector<float> y(x.size());
  block.run(x.data(), y.data());

  std::vector<double> times;
  const Stopwatch watch;
  const auto wanted = [&] {
    return reps > 0 ? times.size() < reps : times.size() < kLeastReps || watch.milliseconds() < kDefaultMs;
  };
  while (wanted()) {
    const Stopwatch rep;
    block.run(x.data(), y.data());
    times.push_back(rep.milliseconds());
    Profile profile;
    block.run(x.data(), y.data(), &profile);
    keep_faster(profile, report);
  }
  std::sort(times.begin(), times.end());
  report.reps = times.size();
  report.best_ms = times.front();
  report.median_ms = (times[(times.size() - 1) / 2] + times[times.size() / 2]) / 2;
}

}  // namespace

std::string bench_command(const BenchOptions& options) {
  if (options.output) check_writable(*options.output);
  std::string context;
  io::BlockWeights weights;
  if (options.weights) {
    weights = read_weights(options);
    context = *options.weights + ", block '" + weights.prefix + "': ";
  }
  const Spec spec = options.weights ? weights.spec : spec_without_weights(options);
  const PlannedBlock planned = plan_block(spec, options.shape, options, context);

  io::BenchReport bench{.plan = planned.plan};
  {
    const Progress progress;
    if (!options.weights) weights = weights_of(spec);
    BoundBlock block(planned, weights, context);
    measure(block, options.reps, bench);
    const std::size_t cores = std::min(planned.plan.threads, planned.machine.processors);
    bench.fma_peak_gflops = fma_peak_gflops(product_isa(planned.plan), cores);
  }

  std::string report;
  check(options.json ? io::bench_json(bench, report) : io::bench_text(bench, report));
  if (options.output) {
    std::string svg;
    check(io::bench_svg(bench, svg));
    check(io::write_text(target_of(*options.output), svg));
  }
  return options.json ? report : describe(planned.plan) + "\n" + report;
}

}  // namespace edgeattn::cli
