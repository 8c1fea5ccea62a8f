#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "edgeattn/io.h"

using namespace edgeattn;
using io::BlockWeights;

TEST_CASE("random block: weights have the deviations that are promised") {
  constexpr std::size_t kMany = 256;
  const auto mean = [](const std::vector<float>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  };
  const auto deviation = [&](const std::vector<float>& values) {
    const double center = mean(values);
    double sum = 0;
    for (const float value : values) sum += (value - center) * (value - center);
    return std::sqrt(sum / static_cast<double>(values.size()));
  };
  BlockWeights block;
  const Spec spec{.channels = kMany, .norm = Norm::kBatch};
  REQUIRE(io::random_block(spec, 1, block).ok());
  CHECK(block.spec == spec);
  CHECK(mean(block.norm_weight) == doctest::Approx(1).epsilon(0.05));
  CHECK(deviation(block.norm_weight) == doctest::Approx(0.1).epsilon(0.2));
  CHECK(deviation(block.norm_bias) == doctest::Approx(0.1).epsilon(0.2));
  CHECK(deviation(block.running_mean) == doctest::Approx(0.1).epsilon(0.2));
  CHECK(*std::min_element(block.running_var.begin(), block.running_var.end()) >= 1);
  CHECK(block.qkv_weight.size() == 3 * kMany * kMany);
  CHECK(block.out_weight.size() == kMany * kMany);
  CHECK(deviation(block.out_weight) == doctest::Approx(1.0 / 16).epsilon(0.02));
  CHECK(deviation(block.qkv_bias) == doctest::Approx(0.1).epsilon(0.2));
  CHECK(deviation(block.out_bias) == doctest::Approx(0.1).epsilon(0.2));

  BlockWeights again;
  REQUIRE(io::random_block(spec, 1, again).ok());
  CHECK(again.qkv_weight == block.qkv_weight);
  REQUIRE(io::random_block(spec, 2, again).ok());
  CHECK(again.qkv_weight != block.qkv_weight);
  REQUIRE(io::random_block({.channels = 3, .norm = Norm::kNone}, 1, again).ok());
  CHECK(again.view().norm_weight == nullptr);
  CHECK(again.view().running_var == nullptr);

  CHECK(io::random_block({.channels = 0}, 1, again).code() == StatusCode::kInvalidArgument);
  const std::size_t most = std::numeric_limits<std::size_t>::max();
  CHECK(io::random_block({.channels = most}, 1, again).code() == StatusCode::kInvalidArgument);
}
