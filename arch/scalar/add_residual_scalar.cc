#include <algorithm>
#include <cstddef>

#include "kernels.h"

namespace edgeattn {
namespace {

constexpr std::size_t kTogether = 16;

void add_row(const OutputTile& output, std::size_t token, std::size_t first, std::size_t end) {
  for (std::size_t c = first; c < end; ++c) {
    const std::size_t place = token * output.token_stride + c * output.channel_stride;
    const float value = output.tile[token * output.stride + c] + output.poison[token];
    output.y[place] = (output.x == nullptr ? value : output.x[place] + value) * output.factor;
  }
}

}  // namespace

/// In blocks, so that the lines of the tile stay in cache while y is written across them.
void add_residual_scalar(const OutputTile& output) {
  for (std::size_t c0 = 0; c0 < output.channels; c0 += kTogether)
    for (std::size_t t = 0; t < output.tokens; ++t) add_row(output, t, c0, std::min(c0 + kTogether, output.channels));
}

}  // namespace edgeattn
