#include <limits>

#include "convolution_api.h"

/// The API of 2024 (Debian 13): create, reshape, setup.
namespace sampler::xnnpack {

xnn_status create(const ConvolutionShape& shape, const float* weight, const float* bias, xnn_operator_t* op) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::uint32_t padding = shape.kernel / 2;
  return xnn_create_convolution2d_nhwc_f32(padding, padding, padding, padding, shape.kernel, shape.kernel, shape.stride,
                                           shape.stride, /*dilation_height=*/1, /*dilation_width=*/1, /*groups=*/1,
                                           shape.inputs, shape.outputs, /*input_channel_stride=*/shape.inputs,
                                           /*output_channel_stride=*/shape.outputs, weight, bias, -kInfinity, kInfinity,
                                           /*flags=*/0, /*code_cache=*/nullptr, /*weights_cache=*/nullptr, op);
}

xnn_status setup(xnn_operator_t op, const Maps& in, float* out, pthreadpool_t pool) {
  // Of these convolutions none needs a workspace.
  std::size_t workspace_bytes = 0, workspace_alignment = 0;
  const xnn_status status =
      xnn_reshape_convolution2d_nhwc_f32(op, in.images, in.side, in.side, &workspace_bytes, &workspace_alignment,
                                         /*output_height_out=*/nullptr, /*output_width_out=*/nullptr, pool);
  if (status != xnn_status_success) return status;
  if (workspace_bytes != 0) return xnn_status_unsupported_parameter;
  return xnn_setup_convolution2d_nhwc_f32(op, /*workspace=*/nullptr, in.values, out);
}

}  // namespace sampler::xnnpack
