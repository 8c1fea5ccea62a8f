#include "group_norm.h"

#include <array>
#include <cmath>

#include "failure.h"
#include "tensor_file.h"

namespace sampler {
namespace {

constexpr std::size_t kGroups = 32;
constexpr std::size_t kMostChannels = 256;
constexpr double kEpsilon = 1e-5;

using Channels = std::array<double, kMostChannels>;

/// Gives every channel of a group the mean of the group.
void average_groups(Channels& sums, std::size_t channels, std::size_t pixels) {
  const std::size_t width = channels / kGroups;
  for (std::size_t first = 0; first < channels; first += width) {
    double sum = 0;
    for (std::size_t c = first; c < first + width; ++c) sum += sums[c];
    for (std::size_t c = first; c < first + width; ++c) sums[c] = sum / static_cast<double>(width * pixels);
  }
}

}  // namespace

float silu(float x) noexcept { return x / (1 + std::exp(-x)); }

GroupNorm::GroupNorm(const edgeattn::io::SafetensorsFile& file, const std::string& name, std::size_t channels)
    : weight_(read_tensor(file, name + ".weight", {channels})), bias_(read_tensor(file, name + ".bias", {channels})) {
  if (channels % kGroups != 0 || channels > kMostChannels)
    throw Failure("'" + name + "': expected 32 to 256 channels in 32 groups, given " + std::to_string(channels));
}

void GroupNorm::run(const Maps& in, const float* modulation, const Maps& out, pthreadpool_t pool) const {
  struct Run {
    const GroupNorm& norm;
    const Maps& in;
    const float* modulation;
    const Maps& out;
  } run{*this, in, modulation, out};
  pthreadpool_parallelize_1d(
      pool,
      [](void* context, std::size_t image) {
        const Run& r = *static_cast<const Run*>(context);
        r.norm.run_image(r.in, r.modulation, r.out, image);
      },
      &run, in.images, /*flags=*/0);
}

void GroupNorm::run_image(const Maps& in, const float* modulation, const Maps& out, std::size_t image) const {
  const std::size_t channels = in.channels, pixels = in.pixels();
  const float* const x = in.image(image);
  float* const y = out.image(image);

  Channels mean{}, variance{};
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c) mean[c] += x[p * channels + c];
  average_groups(mean, channels, pixels);
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c) {
      const double difference = x[p * channels + c] - mean[c];
      variance[c] += difference * difference;
    }
  average_groups(variance, channels, pixels);

  // What norm and modulation do to a channel: (x - center)·factor + offset.
  std::array<float, kMostChannels> center, factor, offset;
  for (std::size_t c = 0; c < channels; ++c) {
    const double scale = modulation == nullptr ? 0 : modulation[image * 2 * channels + c];
    const double shift = modulation == nullptr ? 0 : modulation[(image * 2 + 1) * channels + c];
    center[c] = static_cast<float>(mean[c]);
    factor[c] = static_cast<float>(weight_[c] / std::sqrt(variance[c] + kEpsilon) * (1 + scale));
    offset[c] = static_cast<float>(bias_[c] * (1 + scale) + shift);
  }
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c)
      y[p * channels + c] = silu((x[p * channels + c] - center[c]) * factor[c] + offset[c]);
}

}  // namespace sampler
