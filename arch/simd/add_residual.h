#pragma once

#include "for_lanes.h"

namespace edgeattn {
namespace {

template <class Lanes>
[[gnu::always_inline]] inline void store_sum(const OutputTile& output, size_t offset, Vec value, Vec factor, Lanes mask) {
  if (output.x != nullptr) value = add(load(output.x + offset, mask), value);
  store(output.y + offset, multiply(value, factor), mask);
}

/// kLanes tokens of kLanes channels of the tile, turned on their way to rows of neighbouring tokens.
template <class Channels, class Tokens>
inline void turn_block(const OutputTile& output, size_t token, size_t channel, Channels channel_mask,
                       Tokens token_mask) {
  const size_t live_tokens = chosen(token_mask, output.tokens - token);
  const size_t live_channels = chosen(channel_mask, output.channels - channel);
  Vec block[kLanes];
#pragma GCC unroll 16
  for (size_t i = 0; i < kLanes; ++i) {
    block[i] = zero();
    if (i >= live_tokens) continue;
    block[i] = add(load(output.tile + (token + i) * output.stride + channel, channel_mask),
                   broadcast(output.poison[token + i]));
  }
  transpose(block);
  const size_t place = channel * output.channel_stride + token;
  if (output.x != nullptr) {
#pragma GCC unroll 16
    for (size_t i = 0; i < kLanes; ++i)
      if (i < live_channels) block[i] = add(load(output.x + place + i * output.channel_stride, token_mask), block[i]);
  }
  const Vec factor = broadcast(output.factor);
#pragma GCC unroll 16
  for (size_t i = 0; i < kLanes; ++i)
    if (i < live_channels) store(output.y + place + i * output.channel_stride, multiply(block[i], factor), token_mask);
}

}  // namespace

void EDGEATTN_KERNEL(add_residual)(const OutputTile& output) {
  if (output.token_stride != 1) {
    const Vec factor = broadcast(output.factor);
    for (size_t t = 0; t < output.tokens; ++t) {
      const Vec poison = broadcast(output.poison[t]);
      for_lanes(output.channels, [&](size_t c, auto mask) {
        const Vec value = add(load(output.tile + t * output.stride + c, mask), poison);
        store_sum(output, t * output.token_stride + c, value, factor, mask);
      });
    }
    return;
  }
  for_lanes(output.channels, [&](size_t channel, auto channel_mask) {
    for_lanes(output.tokens,
              [&](size_t token, auto token_mask) { turn_block(output, token, channel, channel_mask, token_mask); });
  });
}

}  // namespace edgeattn
