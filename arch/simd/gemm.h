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

inline bool adds(const float* rescale, size_t row) { return rescale != nullptr && rescale[row] != 0.0f; }

/// Stores `live` columns of rows of sums, or adds them to what the output holds. Apart from where they are computed, for it would be the
/// larger part of every block.
[[gnu::noinline]] void store_columns(const float* sums, size_t stride, size_t rows, size_t live, const float* rescale, float* output,
                                     size_t output_stride) {
  for (size_t r = 0; r < rows; ++r, sums += stride, output += output_stride) {
    for (size_t column = 0; column < live; column += kLanes) {
      const auto mask = lanes(0, smaller_of(live - column, kLanes));
      const Vec sum = load(sums + column, mask);
      store(output + column, adds(rescale, r) ? fused(load(output + column, mask), broadcast(rescale[r]), sum) : sum, mask);
    }
  }
}

/// kRows rows of the product by kVectors vectors of one panel, all in registers, of which `live` columns are stored. Never inlined:
/// its loop takes all registers.
///
/// @param panel    the biases of the first vector
/// @param rescale  of the first row; null where product.rescale is
template <size_t kRows, size_t kVectors>
[[gnu::noinline]] void multiply_block(const PanelProduct& product, const float* input, const float* panel, const float* rescale,
                                      float* output, size_t live) {
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
  // A single vector of columns is the last of a product, so that its blocks may be small rather than quick to add.
  if (live < kVectors * kLanes || (kVectors == 1 && rescale != nullptr)) {
    float whole[kRows * kVectors * kLanes];
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; ++r)
#pragma GCC unroll 16
      for (size_t v = 0; v < kVectors; ++v) store(whole + (r * kVectors + v) * kLanes, sums[r][v], All{});
    return store_columns(whole, kVectors * kLanes, kRows, live, rescale, output, product.output_stride);
  }
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) {
    float* const to = output + r * product.output_stride;
    if (kVectors > 1 && adds(rescale, r)) {
      const Vec factor = broadcast(rescale[r]);
#pragma GCC unroll 16
      for (size_t v = 0; v < kVectors; ++v) sums[r][v] = fused(load(to + v * kLanes, All{}), factor, sums[r][v]);
    }
#pragma GCC unroll 16
    for (size_t v = 0; v < kVectors; ++v) store(to + v * kLanes, sums[r][v], All{});
  }
}

using block_fn = void(const PanelProduct& product, const float* input, const float* panel, const float* rescale, float* output,
                      size_t live);

/// multiply_block of kFewest to kRows rows. A table: calls of each by name would be larger than the blocks of few rows.
template <size_t kRows, size_t kFewest, size_t kVectors>
struct Blocks {
  constexpr Blocks() { fill<kFewest>(); }
  template <size_t kCount>
  constexpr void fill() {
    of[kCount - kFewest] = multiply_block<kCount, kVectors>;
    if constexpr (kCount < kRows) fill<kCount + 1>();
  }

  block_fn* of[kRows - kFewest + 1] = {};
};

/// All rows of columns [begin, end), in equal blocks of kFewest to kRows. A block stays in the first cache while it meets all panels; but
/// of few rows, all stay in the second one while they meet one panel after another, so that a large operand is read once.
template <size_t kRows, size_t kFewest, size_t kVectors>
void multiply_columns(const PanelProduct& product, size_t begin, size_t end) {
  static constexpr Blocks<kRows, kFewest, kVectors> kBlocks;
  constexpr size_t kManyMoreColumns = 8, kColumns = kVectors * kLanes;
  const bool panel_by_panel = product.outputs >= kManyMoreColumns * product.rows;
  const size_t columns = panel_by_panel ? kColumns : end - begin;
  const size_t blocks = (product.rows + kRows - 1) / kRows, panel_stride = product.nr * (1 + product.inputs);
  for (size_t from = begin; from < end; from += columns) {
    for (size_t block = 0, first = 0; block < blocks; ++block) {
      const size_t next = product.rows * (block + 1) / blocks;
      block_fn* const multiply = kBlocks.of[next - first - kFewest];
      const float* const rescale = product.rescale != nullptr ? product.rescale + first : nullptr;
      for (size_t column = from; column < smaller_of(from + columns, end); column += kColumns)
        multiply(product, product.input + first * product.input_stride,
                 product.operand + column / product.nr * panel_stride + column % product.nr, rescale,
                 product.output + first * product.output_stride + column, end - column);
      first = next;
    }
  }
}

}  // namespace

extern const GemmTile EDGEATTN_KERNEL(gemm_tile) = {kGemmRows, kGemmVectors * kLanes};

/// Of the last panel, columns that fill one vector at most are a block of their own, of one vector: half as many multiply-adds.
void EDGEATTN_KERNEL(gemm)(const PanelProduct& product) {
  constexpr size_t kFewestNarrow = kGemmNarrowRows / 2;
  const size_t rest = product.outputs % (kGemmVectors * kLanes);
  const size_t narrow = rest <= kLanes && product.rows >= kFewestNarrow ? rest : 0;
  const size_t wide = product.outputs - narrow;
  if (wide > 0) multiply_columns<kGemmRows, 1, kGemmVectors>(product, 0, wide);
  if (narrow > 0) multiply_columns<kGemmNarrowRows, kFewestNarrow, 1>(product, wide, product.outputs);
}

}  // namespace edgeattn
