#pragma once

#include "transpose_bands.h"

namespace edgeattn {
namespace {

/// From this size on, results bypass the caches, which they would mostly have left again before somebody reads them.
constexpr size_t kStreamedBytes = 4u << 20;

}  // namespace

void EDGEATTN_KERNEL(transpose)(const float* in, size_t in_stride, float* out, size_t out_stride, size_t rows, size_t columns) {
  const Transposition all = {in, in_stride, out, out_stride};
  if (out_stride % kLine != 0 || rows * columns * sizeof(float) < kStreamedBytes) {
    transpose_bands<false>(all, rows, columns, kCachedBand);
    return;
  }
  // Streams of whole lines need rows of `out` that start lines, as all do from the same row of `in` on.
  const size_t past_line = reinterpret_cast<uintptr_t>(out) / sizeof(float) % kLine;
  const size_t unaligned = smaller_of((kLine - past_line) % kLine, rows);
  edge(all, unaligned, columns);
  transpose_bands<true>(all.at(unaligned, 0), rows - unaligned, columns, kStreamedBand);
  finish_streams();
}

}  // namespace edgeattn
