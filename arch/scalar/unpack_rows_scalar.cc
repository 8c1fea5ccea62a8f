#include <algorithm>
#include <cstddef>

#include "kernels.h"
#include "panel_index.h"

namespace edgeattn {

void unpack_rows_scalar(const Panels& values, std::size_t first_token, std::size_t rows, std::size_t channels,
                        float* out, std::size_t stride) {
  const float* panel = values.data + values.nr + first_token * values.nr;
  for (std::size_t first = 0; first < channels; first += values.nr, panel += values.panel_stride)
    for (std::size_t i = 0; i < rows; ++i)
      std::copy_n(panel + i * values.nr, std::min(values.nr, channels - first), out + i * stride + first);
}

void unpack_rows_any_scalar(const Panels& values, std::size_t first_token, std::size_t rows, std::size_t channels,
                            float* out, std::size_t stride) {
  const scalar::PanelIndex<false> index(values);
  for (std::size_t c = 0; c < channels; ++c) {
    const auto column = index.column(c);
    for (std::size_t i = 0; i < rows; ++i) out[i * stride + c] = values.data[index(first_token + i, column)];
  }
}

}  // namespace edgeattn
