#include <cstddef>
#include <limits>

#include "kernels.h"
#include "pow2.h"

namespace edgeattn {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Results side by side, so that their operations vectorise without being reordered.
constexpr std::size_t kLanes = 16;

struct Extremes {
  float max;
  float min;
};

/// Largest and smallest number of a row, NaN aside: -inf and inf in a row of NaN.
Extremes extremes(const float* row, std::size_t keys) {
  float high[kLanes];
  float low[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i) {
    high[i] = -kInfinity;
    low[i] = kInfinity;
  }
  const auto visit = [&](const float* x, std::size_t lanes) {
    for (std::size_t i = 0; i < lanes; ++i) {
      high[i] = x[i] > high[i] ? x[i] : high[i];
      low[i] = x[i] < low[i] ? x[i] : low[i];
    }
  };
  std::size_t j = 0;
  for (; j + kLanes <= keys; j += kLanes) visit(row + j, kLanes);
  visit(row + j, keys - j);
  Extremes result = {high[0], low[0]};
  for (std::size_t i = 1; i < kLanes; ++i) {
    result.max = high[i] > result.max ? high[i] : result.max;
    result.min = low[i] < result.min ? low[i] : result.min;
  }
  return result;
}

float weights_and_sum(float* row, std::size_t keys, float max) {
  for (std::size_t j = 0; j < keys; ++j) row[j] = scalar::pow2(row[j] - max);
  float sums[kLanes] = {};
  std::size_t j = 0;
  for (; j + kLanes <= keys; j += kLanes)
    for (std::size_t i = 0; i < kLanes; ++i) sums[i] += row[j + i];
  for (std::size_t i = 0; j + i < keys; ++i) sums[i] += row[j + i];
  for (std::size_t half = kLanes / 2; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  return sums[0];
}

}  // namespace

/// A score of NaN or inf turns its weight into NaN and so the sum; -inf would pass as a weight of 0, and is caught by
/// the minimum.
void softmax_scalar(float* scores, std::size_t rows, std::size_t keys, std::size_t stride, float* max, float* sum,
                    float* rescale) {
  for (std::size_t i = 0; i < rows; ++i) {
    float* const row = scores + i * stride;
    const Extremes found = extremes(row, keys);
    const float before = max[i];
    max[i] = found.max > before ? found.max : before;
    rescale[i] = before == -kInfinity ? 0.0f : scalar::pow2(before - max[i]);
    const float poison = found.max * 0.0f + found.min * 0.0f;
    sum[i] = sum[i] * rescale[i] + (weights_and_sum(row, keys, max[i]) + poison);
  }
}

}  // namespace edgeattn
