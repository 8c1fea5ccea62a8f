#pragma once

#include <cstddef>

#include "gemm/operator.h"

namespace edgeattn {

/// The operators of one slot. Handles: those of equal shapes are the same operator.
struct SlotOperators {
  Operator project;      ///< C to C: T = X̂ Aᵀ + u, and Y = O Mᵀ + b'
  Operator keys;         ///< C to Bk: S = T X̂ᵀ of one key block
  Operator last_keys;    ///< the same of the last key block
  Operator values;       ///< Bk to C: O = P X̂ of one key block
  Operator last_values;  ///< the same of the last key block
};

}  // namespace edgeattn
