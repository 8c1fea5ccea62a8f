#include "schedule.h"

#include <cmath>

namespace sampler {
namespace {

constexpr double kFirstBeta = 1e-4, kLastBeta = 0.05;

}  // namespace

Schedule::Schedule() noexcept {
  double remaining = 1;
  for (std::size_t t = 0; t < kSteps; ++t) {
    const double beta = kFirstBeta + (kLastBeta - kFirstBeta) * static_cast<double>(t) / (kSteps - 1);
    remaining *= 1 - beta;
    levels_[t] = {.predicted = static_cast<float>(beta / std::sqrt(1 - remaining)),
                  .root_alpha = static_cast<float>(std::sqrt(1 - beta)),
                  .noise = static_cast<float>(std::sqrt(beta))};
  }
}

void Schedule::step(std::size_t t, std::span<float> x, const float* predicted, const float* noise) const noexcept {
  const Level& level = levels_[t];
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = (x[i] - level.predicted * predicted[i]) / level.root_alpha;
    if (t > 0) x[i] += level.noise * noise[i];
  }
}

}  // namespace sampler
