#pragma once

#include "for_lanes.h"

namespace edgeattn {
namespace {

/// The inputs of a block of rows, from one column on.
template <size_t kRows>
struct InputRows {
  static constexpr size_t kPointers = (kRows + kRowsOfPointer - 1) / kRowsOfPointer;

  [[gnu::always_inline]] InputRows(const float* input, size_t row_stride) : stride(row_stride) {
#pragma GCC unroll 16
    for (size_t i = 0; i < kPointers; ++i) pointers[i] = input + i * kRowsOfPointer * stride;
  }
  [[gnu::always_inline]] const float* row(size_t r) const {
    return pointers[r / kRowsOfPointer] + r % kRowsOfPointer * stride;
  }
  [[gnu::always_inline]] void advance(size_t columns) {
#pragma GCC unroll 16
    for (size_t i = 0; i < kPointers; ++i) pointers[i] += columns;
  }

  const float* pointers[kPointers];
  size_t stride;
};

/// Adds the products of the inputs from the kFirst-th to the kLast-th to the sums.
template <size_t kFirst, size_t kLast, size_t kRows, size_t kVectors>
[[gnu::always_inline]] inline void add_products(const Inputs (&inputs)[kRows], const float* weights, size_t nr,
                                                Vec (&sums)[kRows][kVectors]) {
  Vec columns[kVectors];
#pragma GCC unroll 16
  for (size_t v = 0; v < kVectors; ++v) columns[v] = load(weights + v * kLanes, All{});
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r)
#pragma GCC unroll 16
    for (size_t v = 0; v < kVectors; ++v) sums[r][v] = fused_input<kFirst>(inputs[r], columns[v], sums[r][v]);
  if constexpr (kFirst < kLast) add_products<kFirst + 1, kLast>(inputs, weights + nr, nr, sums);
}

/// Rows of the product by kGemmVectors vectors of one panel, all in registers: at `output`, of which `live` columns are stored. Never
/// inlined: its loop takes all registers.
///
/// @param panel  the biases of the first vector
template <size_t kRows>
[[gnu::noinline]] void multiply_block(const PanelProduct& product, const float* input, const float* panel,
                                                  float* output, size_t live) {
  constexpr size_t kVectors = kGemmVectors;
  Vec sums[kRows][kVectors];
#pragma GCC unroll 16
  for (size_t v = 0; v < kVectors; ++v) {
    sums[0][v] = load(panel + v * kLanes, All{});
#pragma GCC unroll 16
    for (size_t r = 1; r < kRows; ++r) sums[r][v] = sums[0][v];
  }
  InputRows<kRows> from(input, product.input_stride);
  const float* weights = panel + product.nr;
  size_t left = product.inputs;
  for (; left >= kInputs; left -= kInputs) {
    Inputs inputs[kRows];
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; ++r) inputs[r] = load_inputs(from.row(r));
    add_products<0, kInputs - 1>(inputs, weights, product.nr, sums);
    from.advance(kInputs);
    weights += kInputs * product.nr;
  }
  if constexpr (kInputs > 1) {
    for (; left > 0; --left) {
      Inputs inputs[kRows];
#pragma GCC unroll 16
      for (size_t r = 0; r < kRows; ++r) inputs[r] = load_input(from.row(r));
      add_products<0, 0>(inputs, weights, product.nr, sums);
      from.advance(1);
      weights += product.nr;
    }
  }
  const bool whole = live >= kVectors * kLanes;
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) {
    float* const row = output + r * product.output_stride;
#pragma GCC unroll 16
    for (size_t v = 0; v < kVectors; ++v) {
      if (whole) store(row + v * kLanes, sums[r][v], All{});
      else if (live > v * kLanes) store(row + v * kLanes, sums[r][v], lanes(0, smaller_of(live - v * kLanes, kLanes)));
    }
  }
}

/// `rows` ≤ kRows rows of the product, over all panels.
template <size_t kRows>
void multiply_rows(const PanelProduct& product, size_t rows, const float* input, float* output) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return multiply_rows<kRows - 1>(product, rows, input, output);
  }
  constexpr size_t kColumns = kGemmVectors * kLanes;
  const size_t panel_stride = product.nr * (1 + product.inputs);
  const float* panel = product.operand;
  for (size_t first = 0; first < product.outputs; first += product.nr, panel += panel_stride) {
    const size_t columns = smaller_of(product.nr, product.outputs - first);
    for (size_t column = 0; column < columns; column += kColumns)
      multiply_block<kRows>(product, input, panel + column, output + first + column,
                            smaller_of(columns - column, kColumns));
  }
}

}  // namespace

extern const GemmTile EDGEATTN_KERNEL(gemm_tile) = {kGemmRows, kGemmVectors * kLanes};

/// A block of rows, cut in equal ones, stays in the first cache while it meets all panels.
void EDGEATTN_KERNEL(gemm)(const PanelProduct& product) {
  const size_t blocks = (product.rows + kGemmRows - 1) / kGemmRows;
  for (size_t block = 0, first = 0; block < blocks; ++block) {
    const size_t end = product.rows * (block + 1) / blocks;
    multiply_rows<kGemmRows>(product, end - first, product.input + first * product.input_stride,
                             product.output + first * product.output_stride);
    first = end;
  }
}

}  // namespace edgeattn
