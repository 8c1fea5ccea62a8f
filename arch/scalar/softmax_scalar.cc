#include <algorithm>
#include <cstddef>
#include <limits>

#include "half.h"
#include "kernels.h"
#include "pow2.h"
#include "reduced_panels.h"

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

/// Hands the weights 2^(row[j] - max) to put(j, weights, lanes), kLanes at most at a time; returns their sum.
template <class Put>
float weights_and_sum(const float* row, std::size_t keys, float max, Put put) {
  float sums[kLanes] = {};
  const auto visit = [&](std::size_t j, std::size_t lanes) {
    float weights[kLanes];
    for (std::size_t i = 0; i < lanes; ++i) weights[i] = scalar::pow2(row[j + i] - max);
    for (std::size_t i = 0; i < lanes; ++i) sums[i] += weights[i];
    put(j, weights, lanes);
  };
  std::size_t j = 0;
  for (; j + kLanes <= keys; j += kLanes) visit(j, kLanes);
  visit(j, keys - j);
  for (std::size_t half = kLanes / 2; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  return sums[0];
}

/// put(i, j, weights, lanes) takes weights of row i. A score of NaN or inf turns its weight into NaN and so the sum; -inf would
/// pass as a weight of 0, and is caught by the minimum.
template <class Put>
void softmax(const float* scores, std::size_t rows, std::size_t keys, std::size_t stride, float* max, float* sum, float* rescale,
             Put put) {
  for (std::size_t i = 0; i < rows; ++i) {
    const float* const row = scores + i * stride;
    const Extremes found = extremes(row, keys);
    const float before = max[i];
    max[i] = found.max > before ? found.max : before;
    rescale[i] = before == -kInfinity ? 0.0f : scalar::pow2(before - max[i]);
    const float poison = found.max * 0.0f + found.min * 0.0f;
    const float total = weights_and_sum(
        row, keys, max[i], [&](std::size_t j, const float* weights, std::size_t lanes) { put(i, j, weights, lanes); });
    sum[i] = sum[i] * rescale[i] + (total + poison);
  }
}

}  // namespace

void softmax_scalar(float* scores, std::size_t rows, std::size_t keys, std::size_t stride, float* max, float* sum,
                    float* rescale) {
  softmax(scores, rows, keys, stride, max, sum, rescale, [&](std::size_t i, std::size_t j, const float* weights, std::size_t lanes) {
    std::copy_n(weights, lanes, scores + i * stride + j);
  });
}

void softmax_half_scalar(const float* scores, std::size_t rows, std::size_t keys, std::size_t stride, float* max, float* sum,
                         float* rescale, Half* weights, std::size_t weight_stride) {
  softmax(scores, rows, keys, stride, max, sum, rescale, [&](std::size_t i, std::size_t j, const float* exact, std::size_t lanes) {
    Half* const out = weights + i * weight_stride + j;
    for (std::size_t k = 0; k < lanes; ++k) out[k] = scalar::round_to_bf16(exact[k]);
  });
  for (std::size_t i = 0; i < rows; ++i)
    std::fill(weights + i * weight_stride + keys, weights + i * weight_stride + padded_row<Half>(keys), Half{0});
}

}  // namespace edgeattn
