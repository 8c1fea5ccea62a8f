#include <algorithm>
#include <cstddef>

#include "kernels.h"

namespace edgeattn {

void fold_scalar(const FoldTile& tile) {
  double* const across = tile.factors;
  std::fill_n(tile.sums, kFoldRows * kFoldColumns, 0.0);
  for (std::size_t k = 0; k < tile.terms; ++k) {
    std::transform(tile.right + k * tile.right_term, tile.right + k * tile.right_term + tile.columns, across,
                   [](float value) { return static_cast<double>(value); });
    for (std::size_t i = 0; i < tile.rows; ++i) {
      const double down = static_cast<double>(tile.left[i * tile.left_row + k * tile.left_term]);
      double* const sums = tile.sums + i * kFoldColumns;
      for (std::size_t j = 0; j < tile.columns; ++j) sums[j] += down * across[j];
    }
  }
}

}  // namespace edgeattn
