#include <cstddef>

#include "kernels.h"
#include "pow2.h"

namespace edgeattn {

void exp2_scalar(const float* x, float* out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] = scalar::pow2(x[i]);
}

}  // namespace edgeattn
