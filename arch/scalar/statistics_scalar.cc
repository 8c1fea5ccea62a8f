#include <algorithm>
#include <cstddef>

#include "kernels.h"

namespace edgeattn {
namespace {

constexpr std::size_t kLanes = 16;

/// Sums side by side: the compiler keeps them in vector registers.
struct LaneSums {
  double pivot[kLanes] = {};
  double sum[kLanes] = {};
  double squares[kLanes] = {};

  void add(const float* x, std::size_t lanes) {
    for (std::size_t i = 0; i < lanes; ++i) {
      const double deviation = static_cast<double>(x[i]) - pivot[i];
      sum[i] += deviation;
      squares[i] += deviation * deviation;
    }
  }
};

ShiftedSums contiguous_channel(const float* x, float pivot, std::size_t tokens) {
  LaneSums lanes;
  std::fill(lanes.pivot, lanes.pivot + kLanes, static_cast<double>(pivot));
  std::size_t t = 0;
  for (; t + kLanes <= tokens; t += kLanes) lanes.add(x + t, kLanes);
  lanes.add(x + t, tokens - t);
  ShiftedSums total = {0, 0};
  for (std::size_t i = 0; i < kLanes; ++i) {
    total.sum += lanes.sum[i];
    total.sum_of_squares += lanes.squares[i];
  }
  return total;
}

void adjacent_channels(const float* x, const float* pivots, std::size_t tokens, std::size_t channels,
                       std::size_t stride, ShiftedSums* sums) {
  LaneSums lanes;
  std::copy(pivots, pivots + channels, lanes.pivot);
  if (channels == kLanes) {
    for (std::size_t t = 0; t < tokens; ++t) lanes.add(x + t * stride, kLanes);
  } else {
    for (std::size_t t = 0; t < tokens; ++t) lanes.add(x + t * stride, channels);
  }
  for (std::size_t c = 0; c < channels; ++c) sums[c] = {lanes.sum[c], lanes.squares[c]};
}

}  // namespace

void statistics_scalar(const float* x, const float* pivots, std::size_t tokens, std::size_t channels,
                       std::size_t token_stride, std::size_t channel_stride, ShiftedSums* sums) {
  if (token_stride == 1) {
    for (std::size_t c = 0; c < channels; ++c)
      sums[c] = contiguous_channel(x + c * channel_stride, pivots[c * channel_stride], tokens);
    return;
  }
  for (std::size_t c = 0; c < channels; c += kLanes)
    adjacent_channels(x + c, pivots + c, tokens, std::min(kLanes, channels - c), token_stride, sums + c);
}

}  // namespace edgeattn
