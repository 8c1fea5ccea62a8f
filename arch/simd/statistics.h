#pragma once

#include "for_lanes.h"

namespace edgeattn {
namespace {

constexpr size_t kBlockVectors = 4;
constexpr size_t kBlock = kBlockVectors * kWideLanes;

struct WholeBlock {
  All operator[](size_t) const { return {}; }
};

struct PartialBlock {
  explicit PartialBlock(size_t count) {
    for (size_t v = 0; v < kBlockVectors; ++v) {
      const size_t first = v * kWideLanes;
      masks[v] = wide_lanes(count > first ? count - first : 0);
    }
  }
  WideMask operator[](size_t v) const { return masks[v]; }
  WideMask masks[kBlockVectors];
};

struct BlockSums {
  Wide pivot[kBlockVectors];
  Wide sum[kBlockVectors];
  Wide squares[kBlockVectors];

  BlockSums() {
    for (size_t v = 0; v < kBlockVectors; ++v) sum[v] = squares[v] = wide_zero();
  }

  /// Adds `rows` rows of a block of elements; the eight sums hide each other's latency.
  template <class Masks>
  [[gnu::always_inline]] void add_rows(const float* x, size_t rows, size_t stride, const Masks& masks) {
    for (size_t i = 0; i < rows; ++i, x += stride) {
      for (size_t v = 0; v < kBlockVectors; ++v) {
        const Wide value = load_wide(x + v * kWideLanes, masks[v]);
        const Wide deviation = keep(subtract(value, pivot[v]), masks[v]);
        sum[v] = add(sum[v], deviation);
        squares[v] = fused(deviation, deviation, squares[v]);
      }
    }
  }
};

inline double total(const Wide (&sums)[kBlockVectors]) {
  return sum(add(add(sums[0], sums[1]), add(sums[2], sums[3])));
}

/// One channel, its tokens side by side in memory: blocks of tokens are the rows.
inline ShiftedSums contiguous_channel(const float* x, float pivot, size_t tokens) {
  BlockSums sums;
  for (Wide& lane_pivots : sums.pivot) lane_pivots = wide_broadcast(static_cast<double>(pivot));
  const size_t whole = tokens / kBlock;
  sums.add_rows(x, whole, kBlock, WholeBlock());
  if (tokens % kBlock != 0) sums.add_rows(x + whole * kBlock, 1, kBlock, PartialBlock(tokens % kBlock));
  return {total(sums.sum), total(sums.squares)};
}

/// Up to kBlock channels, side by side in memory: tokens are the rows.
template <class Masks>
inline void adjacent_channels(const float* x, const float* pivots, size_t tokens, size_t channels, size_t stride,
                              const Masks& masks, ShiftedSums* out) {
  BlockSums sums;
  for (size_t v = 0; v < kBlockVectors; ++v) sums.pivot[v] = load_wide(pivots + v * kWideLanes, masks[v]);
  sums.add_rows(x, tokens, stride, masks);
  double sum[kBlock];
  double squares[kBlock];
  for (size_t v = 0; v < kBlockVectors; ++v) {
    store(sum + v * kWideLanes, sums.sum[v]);
    store(squares + v * kWideLanes, sums.squares[v]);
  }
  for (size_t c = 0; c < channels; ++c) out[c] = {sum[c], squares[c]};
}

}  // namespace

void EDGEATTN_KERNEL(statistics)(const float* x, const float* pivots, size_t tokens, size_t channels,
                                 size_t token_stride, size_t channel_stride, ShiftedSums* sums) {
  if (token_stride == 1) {
    for (size_t c = 0; c < channels; ++c)
      sums[c] = contiguous_channel(x + c * channel_stride, pivots[c * channel_stride], tokens);
    return;
  }
  size_t c = 0;
  for (; c + kBlock <= channels; c += kBlock)
    adjacent_channels(x + c, pivots + c, tokens, kBlock, token_stride, WholeBlock(), sums + c);
  if (c < channels)
    adjacent_channels(x + c, pivots + c, tokens, channels - c, token_stride, PartialBlock(channels - c), sums + c);
}

}  // namespace edgeattn
