#pragma once

#include "pow2.h"

namespace edgeattn {

void EDGEATTN_KERNEL(exp2)(const float* x, float* out, size_t count) {
  for_lanes(count, [&](size_t i, auto mask) { store(out + i, pow2(load(x + i, mask)), mask); });
}

}  // namespace edgeattn
