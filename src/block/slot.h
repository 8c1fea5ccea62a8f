#pragma once

#include <atomic>
#include <cstddef>

#include "gemm/operator.h"
#include "reduced_kernels.h"

namespace edgeattn {

/// What one worker needs for a tile, made by bind in the persistent span. Operators are handles: those of equal shapes are the
/// same one.
struct Slot {
  Operator project;      ///< C to C: T = X̂ Aᵀ + u, and Y = O Mᵀ + b'
  Operator keys;         ///< d to Bk: S = T X̂ᵀ of one head and key block
  Operator last_keys;    ///< the same of the last key block
  Operator values;       ///< Bk to d: O = P X̂ of one head and key block
  Operator last_values;  ///< the same of the last key block

  float* normalized;     ///< [Bq, C]: rows of x̂; with several heads or reduced precision after a row for the bias of a panel, and
                         ///< of a strip too
  float* projected;      ///< [Bq, C]: T; with several heads also K, and then V, of a strip
  float* scores;         ///< [Bq, Bk]: S, then P
  float* mixed;          ///< [Bq, C]: P X̂ of one key block; null when there is only one, or products add to `accumulated`
  float* accumulated;    ///< [Bq, C]: O
  float* output;         ///< [Bq, C]: Y
  float* row_max;        ///< [Bq]
  float* row_sum;        ///< [Bq]
  float* rescale;        ///< [Bq]
  float* poison;         ///< [Bq]: of rows of T, then of Y

  // At reduced precision only.
  Half* half_rows;       ///< [Bq, C]: rows of x̂, then T with 16-bit scores, then O; also a strip of what is packed
  uint8_t* quantized;    ///< [Bq, d]: T of one head with 8-bit scores; also keys of a strip. Else null
  float* query_scales;   ///< [Bq]: of `quantized`
  Half* softmax_weights; ///< [Bq, Bk]: P

  std::atomic<std::size_t> next_tile;  ///< of this slot's share of its image's tiles
};

}  // namespace edgeattn
