#include <limits>

#include "convolution_api.h"

/// The API of 2022 (Debian 12).
namespace sampler::xnnpack {

xnn_status create(const ConvolutionShape& shape, const float* weight, const float* bias, xnn_operator_t* op) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::uint32_t padding = shape.kernel / 2;
  return xnn_create_convolution2d_nhwc_f32(padding, padding, padding, padding, shape.kernel, shape.kernel, shape.stride,
                                           shape.stride, /*dilation_height=*/1, /*dilation_width=*/1, /*groups=*/1,
                                           shape.inputs, shape.outputs, /*input_channel_stride=*/shape.inputs,
                                           /*output_channel_stride=*/shape.outputs, weight, bias, -kInfinity, kInfinity,
                                           /*flags=*/0, op);
}

xnn_status setup(xnn_operator_t op, const Maps& in, float* out, pthreadpool_t pool) {
  return xnn_setup_convolution2d_nhwc_f32(op, in.images, in.side, in.side, in.values, out, pool);
}

}  // namespace sampler::xnnpack
