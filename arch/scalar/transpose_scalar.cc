#include <algorithm>
#include <cstddef>
#include <cstring>

#include "kernels.h"

namespace edgeattn {
namespace {

constexpr std::size_t kBlock = 16;

}  // namespace

/// In blocks, so that the lines of both matrices stay in cache while they are crossed. memcpy, because the elements may be of
/// another type than float.
void transpose_scalar(const float* in, std::size_t in_stride, float* out, std::size_t out_stride, std::size_t rows,
                      std::size_t columns) {
  for (std::size_t r0 = 0; r0 < rows; r0 += kBlock)
    for (std::size_t c0 = 0; c0 < columns; c0 += kBlock)
      for (std::size_t c = c0; c < std::min(c0 + kBlock, columns); ++c)
        for (std::size_t r = r0; r < std::min(r0 + kBlock, rows); ++r)
          std::memcpy(out + c * out_stride + r, in + r * in_stride + c, sizeof(float));
}

}  // namespace edgeattn
