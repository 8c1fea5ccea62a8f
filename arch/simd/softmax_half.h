#pragma once

#include "softmax_rows.h"

namespace edgeattn {

void EDGEATTN_KERNEL(softmax_half)(const float* scores, size_t rows, size_t keys, size_t stride, float* row_max, float* row_sum,
                                   float* rescale, Half* weights, size_t weight_stride) {
  softmax_rows(scores, rows, keys, stride, row_max, row_sum, rescale, weights, weight_stride);
}

}  // namespace edgeattn
