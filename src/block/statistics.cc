#include <algorithm>
#include <cmath>

#include "block/run_context.h"
#include "plan/spec.h"

namespace edgeattn {
namespace {

/// Channels that one worker claims at a time.
constexpr std::size_t kClaimedChannels = 64;

/// Adds up one chunk of tokens of some channels.
void add_up(const RunContext& run, const ImageWork& work, std::size_t chunk, std::size_t first_channel) noexcept {
  const std::size_t channels = std::min(kClaimedChannels, run.channels() - first_channel);
  const std::size_t first_token = chunk * kStatisticsTokens;
  const float* const pivots = work.x + first_channel * run.channel_stride();
  run.kernels.statistics(pivots + first_token * run.token_stride(), pivots,
                         std::min(kStatisticsTokens, run.tokens() - first_token), channels, run.token_stride(),
                         run.channel_stride(), work.sums + chunk * run.channels() + first_channel);
  if (chunk > 0) return;
  for (std::size_t c = 0; c < channels; ++c) work.pivots[first_channel + c] = pivots[c * run.channel_stride()];
}

/// Adds the chunks of every channel to the first one's sums. False if a sum is not finite.
bool join_chunks(const RunContext& run, std::size_t chunks, ShiftedSums* sums) noexcept {
  const std::size_t channels = run.channels();
  for (std::size_t chunk = 1; chunk < chunks; ++chunk) {
    const ShiftedSums* const part = sums + chunk * channels;
    for (std::size_t c = 0; c < channels; ++c) {
      sums[c].sum += part[c].sum;
      sums[c].sum_of_squares += part[c].sum_of_squares;
    }
  }
  return std::all_of(sums, sums + channels, [](const ShiftedSums& sum) { return std::isfinite(sum.sum_of_squares); });
}

/// Mean and Σ(x - mean)².
struct Moments {
  double mean;
  double squares;
};

/// Moments of a group of channels, put together from those of each (Chan, Golub, LeVeque 1983).
Moments group_moments(const ImageWork& work, std::size_t first, std::size_t count, double tokens) noexcept {
  const auto channel_mean = [&](std::size_t c) { return work.pivots[c] + work.sums[c].sum / tokens; };
  double mean = 0;
  for (std::size_t c = first; c < first + count; ++c) mean += channel_mean(c);
  mean /= static_cast<double>(count);
  double squares = 0;
  for (std::size_t c = first; c < first + count; ++c) {
    const ShiftedSums& sums = work.sums[c];
    const double off = channel_mean(c) - mean;
    squares += sums.sum_of_squares - sums.sum * (sums.sum / tokens) + tokens * off * off;
  }
  return {.mean = mean, .squares = squares};
}

/// The mean is kept in two floats, the second inside the shift: where means exceed deviations, one would not do.
void finish_coefficients(const RunContext& run, const ImageWork& work) noexcept {
  const std::size_t channels = run.channels();
  const std::size_t group = group_channels(run.plan.spec);
  const auto tokens = static_cast<double>(run.tokens());
  const float* const weight = run.prepared.norm + channels;
  const float* const bias = weight + channels;
  for (std::size_t first = 0; first < channels; first += group) {
    const Moments moments = group_moments(work, first, group, tokens);
    const double variance = moments.squares / (static_cast<double>(group) * tokens);
    const double inverse = 1.0 / std::sqrt(std::max(variance, 0.0) + run.plan.spec.eps);
    const auto mean = static_cast<float>(moments.mean);
    for (std::size_t c = first; c < first + group; ++c) {
      const double scale = inverse * weight[c];
      work.computed[c] = mean;
      work.computed[channels + c] = static_cast<float>(scale);
      work.computed[2 * channels + c] = static_cast<float>(bias[c] - (moments.mean - mean) * scale);
    }
  }
}

/// What all keys are shifted by before they are quantised: about their mean over the tokens, which makes the most of 8 bits. Any vector
/// would do, for it adds to the scores of a query alike, which the softmax cancels.
void find_key_center(const RunContext& run, const Slot& slot, const ImageWork& work) noexcept {
  const auto tokens = static_cast<double>(run.tokens());
  const Coefficients& norm = work.coefficients;
  for (std::size_t c = 0; c < run.channels(); ++c) {
    const double mean = work.pivots[c] + work.sums[c].sum / tokens;
    work.key_center[c] = static_cast<float>((mean - norm.mean[c]) * norm.scale[c] + norm.shift[c]);
  }
  if (run.plan.spec.heads == 1) return;
  // Of keys that are a projection of x̂, the projection of its mean.
  run.round_rows(work.key_center, nullptr, 1, run.channels(), slot.half_rows);
  run.project(run.prepared.key_weight, slot.half_rows, 1, work.key_center);
}

void finish(const RunContext& run, const Slot& slot, std::size_t chunks, ImageWork& work) noexcept {
  work.finite = join_chunks(run, chunks, work.sums);
  if (!work.finite) return;
  const Norm norm = run.plan.spec.norm;
  const bool measured = norm == Norm::kGroup || norm == Norm::kInstance;
  if (measured) finish_coefficients(run, work);
  const float* const values = measured ? work.computed : run.prepared.norm;
  work.coefficients = {.mean = values, .scale = values + run.channels(), .shift = values + 2 * run.channels()};
  if (run.plan.precision == Precision::kInt8) find_key_center(run, slot, work);
}

}  // namespace

void statistics(RunContext& run, const Team& team, ImageWork& work) noexcept {
  const std::size_t chunks = sizes::divide_up(run.tokens(), kStatisticsTokens);
  const std::size_t channel_items = sizes::divide_up(run.channels(), kClaimedChannels);
  for_each_claimed(team, chunks * channel_items, [&](std::size_t, std::size_t item) {
    PhaseClock clock(run.times);
    add_up(run, work, item / channel_items, item % channel_items * kClaimedChannels);
    clock.mark(Phase::kStatistics);
  });
  PhaseClock clock(run.times);
  finish(run, run.slots[team.first], chunks, work);
  clock.mark(Phase::kStatistics);
}

}  // namespace edgeattn
