#pragma once

#include <cstddef>

#include "kernels.h"

namespace edgeattn {

/// The norm of one image as x̂ = (x - mean)·scale + shift, each [channels].
struct Coefficients {
  const float* mean;
  const float* scale;
  const float* shift;
};

/// An image that is worked on, and a set of operands made from it. The table of them is in the persistent span, all that they
/// point to in scratch.
struct ImageWork {
  ShiftedSums* sums;  ///< [chunks, channels]
  float* pivots;      ///< [channels]: what the sums are shifted by
  float* computed;    ///< [3, channels]: coefficients that the run computes
  float* key_center;  ///< [C]: what quantised keys are shifted by; null without
  std::byte* keys;    ///< the operand of the score GEMM, key block after key block
  std::byte* values;  ///< the operand of the mixing GEMM, key block after key block

  // Set by every run.
  const float* x;
  float* y;
  Coefficients coefficients;
  bool finite;  ///< false: all outputs are NaN
};

}  // namespace edgeattn
