#pragma once

/// Helpers of the kernels in this folder. Every file here is written in the vocabulary of x86/avx2.h, which the
/// including source brings in first, and is compiled once for each instruction set.
namespace edgeattn {
namespace {

inline size_t smaller_of(size_t a, size_t b) { return a < b ? a : b; }

/// Calls body(first, mask) for every vector of `count` consecutive elements; only the last mask may leave lanes out.
template <class Body>
[[gnu::always_inline]] inline void for_lanes(size_t count, Body body) {
  size_t first = 0;
  for (; first + kLanes <= count; first += kLanes) body(first, All{});
  if (first < count) body(first, lanes(0, count - first));
}

/// How many lanes a mask of for_lanes chooses when `left` elements are left: a constant for `All`.
inline size_t chosen(All, size_t) { return kLanes; }
inline size_t chosen(Mask, size_t left) { return left; }

}  // namespace
}  // namespace edgeattn
