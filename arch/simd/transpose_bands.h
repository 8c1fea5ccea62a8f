#pragma once

#include "for_lanes.h"

namespace edgeattn {
namespace {

/// Elements of a cache line: whole lines of `out` are written at once.
constexpr size_t kLine = 64 / sizeof(float);

/// Rows and columns of a band. What passes through the caches is cut in wide bands, so that they fetch ahead of each row of `in`;
/// what bypasses them in high ones, so that each row of `out` takes several lines in turn.
struct Band {
  size_t rows;
  size_t columns;
};
constexpr Band kCachedBand = {256, 128};
constexpr Band kStreamedBand = {64, kLine};

struct Transposition {
  const float* in;
  size_t in_stride;
  float* out;
  size_t out_stride;

  Transposition at(size_t row, size_t column) const {
    return {in + row * in_stride + column, in_stride, out + column * out_stride + row, out_stride};
  }
};

/// kLine rows of kLanes columns.
template <bool kStreamed>
[[gnu::always_inline]] inline void whole_block(const Transposition& to) {
  constexpr size_t kPieces = kLine / kLanes;
  Vec block[kPieces][kLanes];
#pragma GCC unroll 16
  for (size_t p = 0; p < kPieces; ++p) {
#pragma GCC unroll 16
    for (size_t i = 0; i < kLanes; ++i) block[p][i] = load(to.in + (p * kLanes + i) * to.in_stride, All{});
    transpose(block[p]);
  }
#pragma GCC unroll 16
  for (size_t i = 0; i < kLanes; ++i) {
#pragma GCC unroll 16
    for (size_t p = 0; p < kPieces; ++p) {
      float* const place = to.out + i * to.out_stride + p * kLanes;
      kStreamed ? stream(place, block[p][i]) : store(place, block[p][i], All{});
    }
  }
}

/// Any number of rows and columns, without a band that would suit them. Never inlined, for it is large.
[[gnu::noinline]] void edge(const Transposition& to, size_t rows, size_t columns) {
  const size_t whole_rows = rows - rows % kLanes;
  const size_t live_rows = kQuickMaskedStores ? rows : whole_rows;
  for_lanes(live_rows, [&](size_t row, auto row_mask) {
    for_lanes(columns, [&](size_t column, auto column_mask) {
      const Transposition from = to.at(row, column);
      const size_t block_rows = chosen(row_mask, live_rows - row), block_columns = chosen(column_mask, columns - column);
      Vec block[kLanes];
#pragma GCC unroll 16
      for (size_t i = 0; i < kLanes; ++i)
        block[i] = i < block_rows ? load(from.in + i * from.in_stride, column_mask) : zero();
      transpose(block);
#pragma GCC unroll 16
      for (size_t i = 0; i < kLanes; ++i)
        if (i < block_columns) store(from.out + i * from.out_stride, block[i], row_mask);
    });
  });
  const Transposition rest = to.at(live_rows, 0);
  for (size_t c = 0; live_rows < rows && c < columns; ++c)
    for (size_t r = 0; r < rows - live_rows; ++r)
      __builtin_memcpy(rest.out + c * rest.out_stride + r, rest.in + r * rest.in_stride + c, sizeof(float));
}

/// All of it, band by band; what is left of whole blocks are edges.
template <bool kStreamed>
inline void transpose_bands(const Transposition& to, size_t rows, size_t columns, Band band) {
  const size_t whole_rows = rows - rows % kLine, whole_columns = columns - columns % kLanes;
  for (size_t top = 0; top < whole_rows; top += band.rows) {
    for (size_t left = 0; left < whole_columns; left += band.columns) {
      const size_t bottom = smaller_of(top + band.rows, whole_rows), right = smaller_of(left + band.columns, whole_columns);
      for (size_t row = top; row < bottom; row += kLine)
        for (size_t column = left; column < right; column += kLanes) whole_block<kStreamed>(to.at(row, column));
    }
  }
  edge(to.at(0, whole_columns), whole_rows, columns - whole_columns);
  edge(to.at(whole_rows, 0), rows - whole_rows, columns);
}

}  // namespace

}  // namespace edgeattn
