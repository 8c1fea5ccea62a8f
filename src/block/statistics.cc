#include <algorithm>
#include <cmath>
#include <limits>

#include "block/parallel.h"
#include "block/run_context.h"
#include "plan/spec.h"

namespace edgeattn {
namespace {

/// Channels that one worker claims at a time.
constexpr std::size_t kClaimedChannels = 64;

/// Adds up one chunk of tokens of some channels.
void add_up(const RunContext& run, const ImageWork& image, std::size_t chunk, std::size_t first_channel) noexcept {
  const std::size_t channels = std::min(kClaimedChannels, run.channels() - first_channel);
  const std::size_t first_token = chunk * kStatisticsTokens;
  const float* const pivots = image.x + first_channel * run.channel_stride();
  run.kernels.statistics(pivots + first_token * run.token_stride(), pivots,
                         std::min(kStatisticsTokens, run.tokens() - first_token), channels, run.token_stride(),
                         run.channel_stride(), image.sums + chunk * run.channels() + first_channel);
  if (chunk > 0) return;
  for (std::size_t c = 0; c < channels; ++c) image.pivots[first_channel + c] = pivots[c * run.channel_stride()];
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
Moments group_moments(const ImageWork& image, std::size_t first, std::size_t count, double tokens) noexcept {
  const auto channel_mean = [&](std::size_t c) { return image.pivots[c] + image.sums[c].sum / tokens; };
  double mean = 0;
  for (std::size_t c = first; c < first + count; ++c) mean += channel_mean(c);
  mean /= static_cast<double>(count);
  double squares = 0;
  for (std::size_t c = first; c < first + count; ++c) {
    const ShiftedSums& sums = image.sums[c];
    const double off = channel_mean(c) - mean;
    squares += sums.sum_of_squares - sums.sum * (sums.sum / tokens) + tokens * off * off;
  }
  return {.mean = mean, .squares = squares};
}

/// The mean is kept in two floats, the second inside the shift: where means exceed deviations, one would not do.
void finish_coefficients(const RunContext& run, const ImageWork& image) noexcept {
  const std::size_t channels = run.channels();
  const std::size_t group = group_channels(run.plan.spec);
  const auto tokens = static_cast<double>(run.tokens());
  const float* const weight = run.prepared.norm + channels;
  const float* const bias = weight + channels;
  for (std::size_t first = 0; first < channels; first += group) {
    const Moments moments = group_moments(image, first, group, tokens);
    const double variance = moments.squares / (static_cast<double>(group) * tokens);
    const double inverse = 1.0 / std::sqrt(std::max(variance, 0.0) + run.plan.spec.eps);
    const auto mean = static_cast<float>(moments.mean);
    for (std::size_t c = first; c < first + group; ++c) {
      const double scale = inverse * weight[c];
      image.computed[c] = mean;
      image.computed[channels + c] = static_cast<float>(scale);
      image.computed[2 * channels + c] = static_cast<float>(bias[c] - (moments.mean - mean) * scale);
    }
  }
}

void finish_image(const RunContext& run, std::size_t chunks, ImageWork& image) noexcept {
  image.finite = join_chunks(run, chunks, image.sums);
  if (!image.finite) {
    std::fill_n(image.y, run.channels() * run.tokens(), std::numeric_limits<float>::quiet_NaN());
    return;
  }
  const Norm norm = run.plan.spec.norm;
  const bool measured = norm == Norm::kGroup || norm == Norm::kInstance;
  if (measured) finish_coefficients(run, image);
  const float* const values = measured ? image.computed : run.prepared.norm;
  image.coefficients = {.mean = values, .scale = values + run.channels(), .shift = values + 2 * run.channels()};
}

}  // namespace

void statistics(RunContext& run) noexcept {
  const std::size_t chunks = sizes::divide_up(run.tokens(), kStatisticsTokens);
  const std::size_t channel_items = sizes::divide_up(run.channels(), kClaimedChannels);
  const std::size_t items = chunks * channel_items;
  for_each_claimed(run.pool, run.plan.threads, run.image_count * items, [&](std::size_t, std::size_t item) {
    PhaseClock clock(run.times);
    const std::size_t part = item % items;
    add_up(run, run.images[item / items], part / channel_items, part % channel_items * kClaimedChannels);
    clock.mark(Phase::kStatistics);
  });
  // Under the denormal mode of the kernels, which for_each_claimed sets, on this thread alone.
  for_each_claimed(nullptr, 1, run.image_count, [&](std::size_t, std::size_t index) {
    PhaseClock clock(run.times);
    finish_image(run, chunks, run.images[index]);
    clock.mark(Phase::kStatistics);
  });
}

}  // namespace edgeattn
