#pragma once

#include "softmax_rows.h"

namespace edgeattn {

void EDGEATTN_KERNEL(softmax)(float* scores, size_t rows, size_t keys, size_t stride, float* row_max, float* row_sum,
                              float* rescale) {
  softmax_rows(scores, rows, keys, stride, row_max, row_sum, rescale, scores, stride);
}

}  // namespace edgeattn
