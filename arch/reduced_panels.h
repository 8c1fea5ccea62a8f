#pragma once

#include "reduced_kernels.h"

/// Where operands of reduced precision keep what. Helpers are in an anonymous namespace, as files with ISA flags include this too.
namespace edgeattn {

/// quantize_rows takes rows for zero whose largest magnitude is less.
inline constexpr float kSmallestQuantized = 0x1p-100f;

namespace {

inline size_t round_up(size_t count, size_t unit) { return (count + unit - 1) / unit * unit; }

/// Where a row that holds `count` elements of type Element ends, its padding included.
template <class Element>
inline size_t padded_row(size_t count) {
  return round_up(count, kRowUnit / sizeof(Element));
}

/// Groups that `depth` elements of type Element fill.
template <class Element>
inline size_t groups_of(size_t depth, size_t group) {
  return (depth * sizeof(Element) + group - 1) / group;
}

/// The panel of 16-bit elements whose first column is `column`, from the group of `depth` on.
inline Half* half_groups(const ReducedPanels& panels, size_t depth, size_t column) {
  return reinterpret_cast<Half*>(panels.data + column / panels.nr * panels.panel_bytes + panels.nr * kHalfHeader) +
         depth * panels.nr;
}

}  // namespace
}  // namespace edgeattn
