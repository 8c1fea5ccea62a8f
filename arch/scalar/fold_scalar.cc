#include <algorithm>
#include <cstddef>

#include "kernels.h"

namespace edgeattn {

void fold_scalar(const float* left, std::size_t left_row, std::size_t left_depth, const float* right,
                 std::size_t right_row, std::size_t rows, std::size_t columns, std::size_t depth, double* out) {
  std::fill_n(out, rows * columns, 0.0);
  for (std::size_t k = 0; k < depth; ++k) {
    for (std::size_t i = 0; i < rows; ++i) {
      const double factor = static_cast<double>(left[i * left_row + k * left_depth]);
      for (std::size_t j = 0; j < columns; ++j)
        out[i * columns + j] += factor * static_cast<double>(right[k * right_row + j]);
    }
  }
}

}  // namespace edgeattn
