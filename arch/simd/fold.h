#pragma once

#include "for_lanes.h"

namespace edgeattn {
namespace {

static_assert(kFoldRows % kGemmRows == 0 && kFoldColumns % (kGemmVectors * kWideLanes) == 0);

/// to[i, j] = from[i, j] in float64, and 0 where `from` has no such element.
///
/// @param from  [rows, columns], row stride `stride`; columns ≤ kColumns
/// @param to    [to_rows, kColumns]
template <size_t kColumns>
[[gnu::always_inline]] inline void widen(const float* from, size_t stride, size_t rows, size_t columns, double* to, size_t to_rows) {
  static_assert(kColumns % kWideLanes == 0);
  const bool whole = columns == kColumns;
  for (size_t i = 0; i < to_rows; ++i, to += kColumns) {
    const float* const row = from + (i < rows ? i * stride : 0);
    if (whole && i < rows) {
#pragma GCC unroll 32
      for (size_t j = 0; j < kColumns; j += kWideLanes) store(to + j, load_wide(row + j, All{}));
    } else {
      const size_t live = i < rows ? columns : 0;
      for (size_t j = 0; j < kColumns; j += kWideLanes)
        store(to + j, j < live ? load_wide(row + j, wide_lanes(live - j)) : wide_zero());
    }
  }
}

/// Adds `terms` products to a block of sums that stays in registers. Never inlined: its loop takes all of them.
///
/// @param left   kGemmRows rows, element (i, k) at left[i·kRow + k·kTerm]
/// @param right  kGemmVectors vectors of each term, kFoldColumns apart
template <size_t kRow, size_t kTerm>
[[gnu::noinline]] void add_terms(const double* left, const double* right, size_t terms, double* sums) {
  Wide block[kGemmRows][kGemmVectors];
#pragma GCC unroll 16
  for (size_t i = 0; i < kGemmRows; ++i)
#pragma GCC unroll 16
    for (size_t v = 0; v < kGemmVectors; ++v) block[i][v] = load(sums + i * kFoldColumns + v * kWideLanes);
  for (size_t k = 0; k < terms; ++k) {
    Wide across[kGemmVectors];
#pragma GCC unroll 16
    for (size_t v = 0; v < kGemmVectors; ++v) across[v] = load(right + v * kWideLanes);
#pragma GCC unroll 16
    for (size_t i = 0; i < kGemmRows; ++i) {
      const Wide down = wide_broadcast(left[i * kRow]);
#pragma GCC unroll 16
      for (size_t v = 0; v < kGemmVectors; ++v) block[i][v] = fused(down, across[v], block[i][v]);
    }
    left += kTerm;
    right += kFoldColumns;
  }
#pragma GCC unroll 16
  for (size_t i = 0; i < kGemmRows; ++i)
#pragma GCC unroll 16
    for (size_t v = 0; v < kGemmVectors; ++v) store(sums + i * kFoldColumns + v * kWideLanes, block[i][v]);
}

}  // namespace

/// Factors are converted once a tile, some terms at a time, in the order in which their own rows lie: turning them would take
/// longer than reading them across.
void EDGEATTN_KERNEL(fold)(const FoldTile& tile) {
  double* const left = tile.factors;
  double* const right = left + kFoldTerms * kFoldRows;
  const size_t rows = (tile.rows + kGemmRows - 1) / kGemmRows * kGemmRows;
  for (size_t i = 0; i < kFoldRows * kFoldColumns; i += kWideLanes) store(tile.sums + i, wide_zero());
  for (size_t first = 0; first < tile.terms; first += kFoldTerms) {
    const size_t terms = smaller_of(tile.terms - first, kFoldTerms);
    const float* const from = tile.left + first * tile.left_term;
    const bool by_rows = tile.left_term == 1;
    if (by_rows) widen<kFoldTerms>(from, tile.left_row, tile.rows, terms, left, rows);
    else widen<kFoldRows>(from, tile.left_term, terms, tile.rows, left, terms);
    widen<kFoldColumns>(tile.right + first * tile.right_term, tile.right_term, terms, tile.columns, right, terms);
    for (size_t j = 0; j < tile.columns; j += kGemmVectors * kWideLanes) {
      for (size_t i = 0; i < tile.rows; i += kGemmRows) {
        double* const sums = tile.sums + i * kFoldColumns + j;
        if (by_rows) add_terms<kFoldTerms, 1>(left + i * kFoldTerms, right + j, terms, sums);
        else add_terms<1, kFoldRows>(left + i, right + j, terms, sums);
      }
    }
  }
}

}  // namespace edgeattn
