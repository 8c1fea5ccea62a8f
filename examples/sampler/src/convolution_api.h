#pragma once

#include <pthreadpool.h>
#include <xnnpack.h>

#include <cstddef>
#include <cstdint>

#include "maps.h"

/// What differs between XNNPACK's APIs: one source file for each.
namespace sampler::xnnpack {

struct ConvolutionShape {
  std::uint32_t kernel = 1;  ///< pixels of each side; padded by half of it
  std::uint32_t stride = 1;
  std::size_t inputs = 0;
  std::size_t outputs = 0;
};

/// @param weight  [outputs, kernel, kernel, inputs]; copied, as is bias [outputs]
xnn_status create(const ConvolutionShape& shape, const float* weight, const float* bias, xnn_operator_t* op);

/// Readies the operator for runs from `in` to `out`, which stay where they are.
xnn_status setup(xnn_operator_t op, const Maps& in, float* out, pthreadpool_t pool);

}  // namespace sampler::xnnpack
