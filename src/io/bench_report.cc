#include <numeric>

#include "edgeattn/io.h"

namespace edgeattn::io {
namespace {

/// B·(projections·NC² + 4N²C)·10⁻⁹.
double gflop(const Plan& plan, double projections) {
  const auto batch = static_cast<double>(plan.shape.batch);
  const auto tokens = static_cast<double>(plan.shape.tokens());
  const auto channels = static_cast<double>(plan.spec.channels);
  return batch * tokens * channels * (projections * channels + 4 * tokens) * 1e-9;
}

/// 0 when there is nothing to divide by.
double ratio(double a, double b) { return b > 0 ? a / b : 0; }

}  // namespace

double BenchReport::gflop_naive() const noexcept { return gflop(plan, 8); }
double BenchReport::gflop_own() const noexcept { return gflop(plan, plan.spec.heads > 1 ? 8 : 4); }
double BenchReport::gflops_own() const noexcept { return ratio(gflop_own(), best_ms * 1e-3); }
double BenchReport::roofline_fraction() const noexcept { return ratio(gflops_own(), fma_peak_gflops); }
double BenchReport::phases_ms() const noexcept { return std::accumulate(phase_ms, phase_ms + kPhases, 0.0); }

}  // namespace edgeattn::io
