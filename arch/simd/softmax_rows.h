#pragma once

#include "pow2.h"

namespace edgeattn {
namespace {

constexpr size_t kSoftmaxRows = 4;
constexpr float kInfinity = __builtin_inff();

struct Extremes {
  float max[kSoftmaxRows];
  float min[kSoftmaxRows];
};

/// Largest and smallest number of each row, NaN aside: -inf and inf in a row of NaN. Side by side, the rows hide the
/// latency of each other's comparisons. Never inlined: the constants of pow2 would take its registers.
[[gnu::noinline]] Extremes extremes(const float* const (&rows)[kSoftmaxRows], size_t keys) {
  Vec high[kSoftmaxRows];
  Vec low[kSoftmaxRows];
  for (size_t i = 0; i < kSoftmaxRows; ++i) {
    high[i] = broadcast(-kInfinity);
    low[i] = broadcast(kInfinity);
  }
  const auto visit = [&](size_t j, auto mask) {
    for (size_t i = 0; i < kSoftmaxRows; ++i) {
      const Vec score = load(rows[i] + j, mask);
      high[i] = larger(choose(mask, score, high[i]), high[i]);
      low[i] = smaller(choose(mask, score, low[i]), low[i]);
    }
  };
  // The partial vector first: after it, the loop would have to keep its results twice.
  const size_t whole = keys / kLanes * kLanes;
  if (whole < keys) visit(whole, lanes(0, keys - whole));
  for (size_t j = 0; j < whole; j += kLanes) visit(j, All{});
  Extremes result;
  for (size_t i = 0; i < kSoftmaxRows; ++i) {
    result.max[i] = largest(high[i]);
    result.min[i] = smallest(low[i]);
  }
  return result;
}

/// out[j] = 2^(row[j] - max), as whatever type Element is; returns the sum of the powers. One accumulator a vector is enough: a
/// power takes longer than an addition. `out` may be `row`.
template <class Element>
inline float weights_and_sum(const float* row, size_t keys, float max, Element* out) {
  constexpr size_t kTogether = kPowerVectors * kLanes;
  const Vec shift = broadcast(max);
  Vec totals[kPowerVectors];
  for (Vec& total : totals) total = zero();
  const size_t together = kPowerVectors > 1 ? keys / kTogether * kTogether : 0;
  for (size_t j = 0; j < together; j += kTogether) {
    Vec weights[kPowerVectors];
    for (size_t v = 0; v < kPowerVectors; ++v) weights[v] = subtract(load(row + j + v * kLanes, All{}), shift);
    raise(weights);
    for (size_t v = 0; v < kPowerVectors; ++v) {
      store(out + j + v * kLanes, weights[v], All{});
      totals[v] = add(totals[v], weights[v]);
    }
  }
  for_lanes(keys - together, [&](size_t i, auto mask) {
    const Vec weight = pow2(subtract(load(row + together + i, mask), shift));
    store(out + together + i, weight, mask);
    totals[0] = add(totals[0], keep(weight, mask));
  });
  for (size_t v = 1; v < kPowerVectors; ++v) totals[0] = add(totals[0], totals[v]);
  return sum(totals[0]);
}

/// softmax_fn, with weights of any type that store() knows in `out`, which may be `scores`. Four rows at a time. A score of NaN or
/// inf turns its weight into NaN and so the sum; -inf would pass as a weight of 0, and is caught by the minimum.
template <class Element>
[[gnu::always_inline]] inline void softmax_rows(const float* scores, size_t rows, size_t keys, size_t stride, float* row_max,
                                                float* row_sum, float* rescale, Element* out, size_t out_stride) {
  for (size_t first = 0; first < rows; first += kSoftmaxRows) {
    const size_t live = smaller_of(rows - first, kSoftmaxRows);
    const float* const block = scores + first * stride;
    const float* sources[kSoftmaxRows];
    for (size_t i = 0; i < kSoftmaxRows; ++i) sources[i] = block + (i < live ? i : 0) * stride;
    const Extremes found = extremes(sources, keys);

    float max[kSoftmaxRows];
    for (size_t i = 0; i < live; ++i) max[i] = found.max[i] > row_max[first + i] ? found.max[i] : row_max[first + i];
    const Mask mask = lanes(0, live);
    const Vec before = load(row_max + first, mask);
    const Vec factor = pow2(subtract(before, load(max, mask)));
    store(rescale + first, keep_where_different(factor, before, broadcast(-kInfinity)), mask);

    for (size_t i = 0; i < live; ++i) {
      const float poison = found.max[i] * 0.0f + found.min[i] * 0.0f;
      const float total = weights_and_sum(block + i * stride, keys, max[i], out + (first + i) * out_stride) + poison;
      row_max[first + i] = max[i];
      row_sum[first + i] = row_sum[first + i] * rescale[first + i] + total;
    }
  }
}

}  // namespace
}  // namespace edgeattn
