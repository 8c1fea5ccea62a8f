#include <algorithm>
#include <cstddef>
#include <cstring>

#include "kernels.h"

namespace edgeattn {
namespace {

/// Four floats of any processor, for GCC 12 keeps no array of sums in registers.
using Four [[gnu::vector_size(16)]] = float;

constexpr std::size_t kRows = 4;
constexpr std::size_t kVectors = 2;
constexpr std::size_t kColumns = 4 * kVectors;

Four load(const float* from) {
  Four four;
  std::memcpy(&four, from, sizeof four);
  return four;
}

/// kBlockRows rows by `columns` ≤ kColumns of a panel, which has kColumns there.
template <std::size_t kBlockRows>
void multiply_block(const PanelProduct& product, const float* input, const float* panel, const float* rescale, float* output,
                    std::size_t columns) {
  Four sums[kBlockRows][kVectors];
  for (auto& row : sums)
    for (std::size_t v = 0; v < kVectors; ++v) row[v] = load(panel + 4 * v);
  const float* weights = panel + product.nr;
  for (std::size_t k = 0; k < product.inputs; ++k, weights += product.nr)
    for (std::size_t r = 0; r < kBlockRows; ++r)
      for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] += input[r * product.input_stride + k] * load(weights + 4 * v);
  for (std::size_t r = 0; r < kBlockRows; ++r, output += product.output_stride) {
    float row[kColumns];
    std::memcpy(row, sums[r], sizeof row);
    if (rescale != nullptr && rescale[r] != 0.0f)
      for (std::size_t j = 0; j < columns; ++j) row[j] = output[j] * rescale[r] + row[j];
    std::memcpy(output, row, columns * sizeof(float));
  }
}

}  // namespace

const GemmTile gemm_tile_scalar = {.rows = kRows, .columns = 2 * kColumns};

void gemm_scalar(const PanelProduct& product) {
  const std::size_t panel_stride = product.nr * (1 + product.inputs);
  for (std::size_t row = 0; row < product.rows;) {
    const bool whole = row + kRows <= product.rows;
    auto* const multiply = whole ? multiply_block<kRows> : multiply_block<1>;
    for (std::size_t first = 0; first < product.outputs; first += kColumns)
      multiply(product, product.input + row * product.input_stride,
               product.operand + first / product.nr * panel_stride + first % product.nr,
               product.rescale != nullptr ? product.rescale + row : nullptr,
               product.output + row * product.output_stride + first, std::min(kColumns, product.outputs - first));
    row += whole ? kRows : 1;
  }
}

}  // namespace edgeattn
