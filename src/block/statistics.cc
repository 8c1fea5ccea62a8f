#include <cmath>

#include "block/parallel.h"
#include "block/run_context.h"
#include "block/spans.h"
#include "plan/spec.h"

namespace edgeattn {
namespace {

/// Channels that one worker claims at a time.
constexpr std::size_t kClaimedChannels = 64;

/// Mean and Σ(x - mean)² of one channel.
struct Moments {
  double mean;
  double squares;
};

/// The image's sums, by chunks of kStatisticsTokens and by channels.
class PartialSums {
 public:
  PartialSums(const RunContext& run, const float* x) noexcept
      : run_(run),
        x_(x),
        sums_(reinterpret_cast<ShiftedSums*>(floats_at(run.scratch, run.plan, region::kPartialSums))) {}

  [[nodiscard]] std::size_t chunks() const noexcept { return sizes::divide_up(run_.tokens(), kStatisticsTokens); }

  void compute(std::size_t chunk, std::size_t first_channel) const noexcept {
    const std::size_t first_token = chunk * kStatisticsTokens;
    const float* const pivots = x_ + first_channel * run_.channel_stride();
    run_.kernels.statistics(pivots + first_token * run_.token_stride(), pivots,
                            std::min(kStatisticsTokens, run_.tokens() - first_token),
                            std::min(kClaimedChannels, run_.channels() - first_channel), run_.token_stride(),
                            run_.channel_stride(), sums_ + chunk * run_.channels() + first_channel);
  }

  [[nodiscard]] bool finite() const noexcept {
    for (std::size_t i = 0; i < chunks() * run_.channels(); ++i)
      if (!std::isfinite(sums_[i].sum_of_squares)) return false;
    return true;
  }

  [[nodiscard]] Moments moments(std::size_t channel) const noexcept {
    double sum = 0, squares = 0;
    for (std::size_t chunk = 0; chunk < chunks(); ++chunk) {
      const ShiftedSums& part = sums_[chunk * run_.channels() + channel];
      sum += part.sum;
      squares += part.sum_of_squares;
    }
    const double pivot = x_[channel * run_.channel_stride()];
    const double shift = sum / static_cast<double>(run_.tokens());
    return {.mean = pivot + shift, .squares = squares - sum * shift};
  }

 private:
  const RunContext& run_;
  const float* x_;
  ShiftedSums* sums_;
};

/// Mean and variance of a group of channels, put together from those of each (Chan, Golub, LeVeque 1983).
Moments group_moments(const PartialSums& sums, std::size_t first, std::size_t count, std::size_t tokens) noexcept {
  double mean = 0;
  for (std::size_t c = first; c < first + count; ++c) mean += sums.moments(c).mean;
  mean /= static_cast<double>(count);
  double squares = 0;
  for (std::size_t c = first; c < first + count; ++c) {
    const Moments channel = sums.moments(c);
    const double off = channel.mean - mean;
    squares += channel.squares + static_cast<double>(tokens) * off * off;
  }
  return {.mean = mean, .squares = squares};
}

/// The mean is kept in two floats, the second inside the shift: where means exceed deviations, one would not do.
void finish_coefficients(const RunContext& run, const PartialSums& sums, float* coefficients) noexcept {
  const std::size_t channels = run.channels();
  const std::size_t group = group_channels(run.plan.spec);
  const float* const weight = run.prepared.norm + channels;
  const float* const bias = weight + channels;
  for (std::size_t first = 0; first < channels; first += group) {
    const Moments moments = group_moments(sums, first, group, run.tokens());
    const double variance = moments.squares / static_cast<double>(group * run.tokens());
    const double inverse = 1.0 / std::sqrt(std::max(variance, 0.0) + run.plan.spec.eps);
    const auto mean = static_cast<float>(moments.mean);
    for (std::size_t c = first; c < first + group; ++c) {
      const double scale = inverse * weight[c];
      coefficients[c] = mean;
      coefficients[channels + c] = static_cast<float>(scale);
      coefficients[2 * channels + c] = static_cast<float>(bias[c] - (moments.mean - mean) * scale);
    }
  }
}

}  // namespace

bool statistics(RunContext& run, const float* x, Coefficients& coefficients) noexcept {
  const PartialSums sums(run, x);
  const std::size_t channel_items = sizes::divide_up(run.channels(), kClaimedChannels);
  for_each_claimed(run.pool, run.plan.threads, sums.chunks() * channel_items, [&](std::size_t, std::size_t item) {
    PhaseClock clock(run.times);
    sums.compute(item / channel_items, item % channel_items * kClaimedChannels);
    clock.mark(Phase::kStatistics);
  });

  const Norm norm = run.plan.spec.norm;
  const bool measured = norm == Norm::kGroup || norm == Norm::kInstance;
  const std::size_t channels = run.channels();
  const float* values = run.prepared.norm;
  bool finite = false;
  for_each_claimed(nullptr, 1, 1, [&](std::size_t, std::size_t) {
    PhaseClock clock(run.times);
    finite = sums.finite();
    if (finite && measured) {
      float* const computed = floats_at(run.scratch, run.plan, region::kCoefficients);
      finish_coefficients(run, sums, computed);
      values = computed;
    }
    clock.mark(Phase::kStatistics);
  });
  coefficients = {.mean = values, .scale = values + channels, .shift = values + 2 * channels};
  return finite;
}

}  // namespace edgeattn
