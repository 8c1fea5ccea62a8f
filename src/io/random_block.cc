#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include "checked.h"
#include "edgeattn/io.h"
#include "errors.h"

namespace edgeattn::io {

Status random_block(const Spec& spec, std::uint64_t seed, BlockWeights& weights) noexcept {
  return guarded(StatusCode::kInvalidArgument, "random block", [&]() -> Status {
    const std::size_t channels = spec.channels;
    std::size_t most_bytes = 3 * sizeof(float);
    if (channels == 0 || !multiply(most_bytes, channels) || !multiply(most_bytes, channels)) {
      return Status::error(StatusCode::kInvalidArgument, "channels: expected from 1 to what fits into memory, given ",
                           channels);
    }
    std::mt19937_64 engine(seed);
    std::normal_distribution<double> normal;
    const auto draw = [&](std::size_t count, double mean, double deviation) {
      std::vector<float> values(count);
      for (float& value : values) value = static_cast<float>(mean + deviation * normal(engine));
      return values;
    };

    constexpr double kDeviation = 0.1;
    BlockWeights drawn;
    drawn.spec = spec;
    drawn.style = "random";
    if (spec.norm != Norm::kNone) {
      drawn.norm_weight = draw(channels, 1, kDeviation);
      drawn.norm_bias = draw(channels, 0, kDeviation);
    }
    if (spec.norm == Norm::kBatch) {
      drawn.running_mean = draw(channels, 0, kDeviation);
      drawn.running_var = draw(channels, 0, kDeviation);
      for (float& variance : drawn.running_var) variance = 1 + std::fabs(variance);
    }
    const double projection = 1 / std::sqrt(static_cast<double>(channels));
    drawn.qkv_weight = draw(3 * channels * channels, 0, projection);
    drawn.qkv_bias = draw(3 * channels, 0, kDeviation);
    drawn.out_weight = draw(channels * channels, 0, projection);
    drawn.out_bias = draw(channels, 0, kDeviation);
    weights = std::move(drawn);
    return {};
  });
}

}  // namespace edgeattn::io
