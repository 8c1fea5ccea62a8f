#pragma once

#include "for_lanes.h"

namespace edgeattn {
namespace {

/// The part of an operand that a strip fills, as a matrix [depth, columns] cut in panels.
struct Target {
  float* origin;  ///< depth 0, column 0 of the strip; null for an operand that is left out
  size_t nr;
  size_t panel_stride;
  size_t columns;  ///< up to the end of the last panel

  float* at(size_t depth, size_t column) const {
    return origin + column / nr * panel_stride + depth * nr + column % nr;
  }
};

inline size_t padded(size_t columns, size_t nr) { return (columns + nr - 1) / nr * nr; }

inline void zero_biases(float* first_panel, const Panels& panels, size_t columns) {
  for (size_t column = 0; column < columns; column += panels.nr, first_panel += panels.panel_stride)
    for_lanes(panels.nr, [&](size_t i, auto mask) { store(first_panel + i, zero(), mask); });
}

template <class Lanes>
[[gnu::always_inline]] inline void store_rows(float* to, size_t stride, const Vec (&block)[kLanes], size_t count,
                                              Lanes mask) {
#pragma GCC unroll 16
  for (size_t i = 0; i < kLanes; ++i)
    if (i < count) store(to + i * stride, block[i], mask);
}

/// Writes `count` depths of kLanes columns, cut where panels end.
inline void store_pieces(const Target& target, size_t depth, size_t count, size_t column, const Vec (&block)[kLanes]) {
  if (target.origin == nullptr) return;
  for (size_t begin = 0; begin < kLanes && column + begin < target.columns;) {
    const size_t end = smaller_of(begin + target.nr - (column + begin) % target.nr, kLanes);
    store_rows(target.at(depth, column + begin) - begin, target.nr, block, count, lanes(begin, end));
    begin = end;
  }
}

/// kLanes rows of x, each kLanes neighbours in memory: channels of tokens (NCHW), or tokens of channels.
template <bool kRowsAreChannels>
struct Rows {
  explicit Rows(const PackStrip& source)
      : strip(source),
        count(kRowsAreChannels ? source.channels : source.tokens),
        length(kRowsAreChannels ? source.tokens : source.channels),
        stride(kRowsAreChannels ? source.channel_stride : source.token_stride) {}

  /// Normalises a block; rows past the end and lanes outside the mask are zeros.
  template <class Lanes>
  [[gnu::always_inline]] void load_block(size_t row, size_t live, size_t lane, Lanes mask, Vec (&block)[kLanes]) const {
    Vec mean = zero(), factor = zero(), shift = zero();
    if constexpr (!kRowsAreChannels) {
      mean = load(strip.mean + lane, mask);
      factor = load(strip.scale + lane, mask);
      shift = load(strip.shift + lane, mask);
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < kLanes; ++i) {
      block[i] = zero();
      if (i >= live) continue;
      if constexpr (kRowsAreChannels) {
        mean = broadcast(strip.mean[row + i]);
        factor = broadcast(strip.scale[row + i]);
        shift = broadcast(strip.shift[row + i]);
      }
      Vec x = load(strip.x + (row + i) * stride + lane, mask);
      if constexpr (kRowsAreChannels) x = choose(mask, x, mean);  // so that lanes outside cannot overflow
      block[i] = keep(fused(subtract(x, mean), factor, shift), mask);
    }
  }

  const PackStrip& strip;
  size_t count;
  size_t length;
  size_t stride;
};

/// A block that is all there, between operands whose panels are whole vectors wide.
template <bool kRowsAreChannels>
inline void pack_whole_block(const Rows<kRowsAreChannels>& rows, size_t row, size_t lane, const Target& straight,
                             const Target& turned) {
  Vec block[kLanes];
  rows.load_block(row, kLanes, lane, All{}, block);
  if (straight.origin != nullptr) store_rows(straight.at(row, lane), straight.nr, block, kLanes, All{});
  if (turned.origin == nullptr) return;
  transpose(block);
  store_rows(turned.at(lane, row), turned.nr, block, kLanes, All{});
}

template <bool kRowsAreChannels>
inline void pack_any_block(const Rows<kRowsAreChannels>& rows, size_t row, size_t lane, const Target& straight,
                           const Target& turned) {
  const size_t live_rows = row < rows.count ? smaller_of(rows.count - row, kLanes) : 0;
  const size_t live_lanes = lane < rows.length ? smaller_of(rows.length - lane, kLanes) : 0;
  Vec block[kLanes];
  rows.load_block(row, live_rows, lane, lanes(0, live_lanes), block);
  store_pieces(straight, row, live_rows, lane, block);
  transpose(block);
  store_pieces(turned, lane, live_lanes, row, block);
}

/// Writes every block into `straight` as it is and into `turned` transposed. The inner loop follows memory, so that
/// each row of a block is a stream of its own.
template <bool kRowsAreChannels>
inline void pack_blocks(const PackStrip& strip, const Target& straight, const Target& turned) {
  const Rows<kRowsAreChannels> rows(strip);
  const bool whole_panels = straight.nr % kLanes == 0 && turned.nr % kLanes == 0;
  for (size_t row = 0; row < turned.columns; row += kLanes) {
    size_t lane = 0;
    if (whole_panels && row + kLanes <= rows.count)
      for (; lane + kLanes <= rows.length; lane += kLanes)
        pack_whole_block(rows, row, lane, straight, turned);
    for (; lane < straight.columns; lane += kLanes) pack_any_block(rows, row, lane, straight, turned);
  }
}

}  // namespace

void EDGEATTN_KERNEL(pack)(const PackStrip& strip) {
  Target keys = {nullptr, kLanes, 0, strip.tokens};
  if (strip.keys.data != nullptr) {
    float* const first = strip.keys.data + strip.first_token / strip.keys.nr * strip.keys.panel_stride;
    keys = {first + strip.keys.nr, strip.keys.nr, strip.keys.panel_stride, padded(strip.tokens, strip.keys.nr)};
    zero_biases(first, strip.keys, keys.columns);
  }
  Target values = {nullptr, kLanes, 0, strip.channels};
  if (strip.values.data != nullptr) {
    values = {strip.values.data + strip.values.nr + strip.first_token * strip.values.nr, strip.values.nr,
              strip.values.panel_stride, padded(strip.channels, strip.values.nr)};
    if (strip.first_token == 0) zero_biases(strip.values.data, strip.values, values.columns);
  }
  if (strip.token_stride == 1) {
    pack_blocks<true>(strip, keys, values);
  } else {
    pack_blocks<false>(strip, values, keys);
  }
}

void EDGEATTN_KERNEL(unpack_rows)(const Panels& values, size_t first_token, size_t rows, size_t channels, float* out,
                                  size_t stride) {
  const float* panel = values.data + values.nr + first_token * values.nr;
  for (size_t first = 0; first < channels; first += values.nr, panel += values.panel_stride) {
    const size_t columns = smaller_of(values.nr, channels - first);
    for (size_t i = 0; i < rows; ++i) {
      for_lanes(columns, [&](size_t c, auto mask) {
        store(out + i * stride + first + c, load(panel + i * values.nr + c, mask), mask);
      });
    }
  }
}

}  // namespace edgeattn
