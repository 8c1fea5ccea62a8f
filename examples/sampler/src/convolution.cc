#include "convolution.h"

#include "convolution_api.h"
#include "failure.h"
#include "tensor_file.h"

namespace sampler {
namespace {

/// PyTorch's [outputs, inputs, kernel, kernel] in XNNPACK's order, [outputs, kernel, kernel, inputs].
std::vector<float> channels_last(const std::vector<float>& weight, std::size_t outputs, std::size_t inputs,
                                 std::size_t taps) {
  std::vector<float> reordered(weight.size());
  for (std::size_t o = 0; o < outputs; ++o)
    for (std::size_t i = 0; i < inputs; ++i)
      for (std::size_t k = 0; k < taps; ++k) reordered[(o * taps + k) * inputs + i] = weight[(o * inputs + i) * taps + k];
  return reordered;
}

}  // namespace

Convolution::Convolution(const edgeattn::io::SafetensorsFile& file, const std::string& name, std::size_t kernel,
                         std::size_t stride, const Maps& in, const Maps& out, pthreadpool_t pool)
    : pool_(pool) {
  const std::vector<float> weight = read_tensor(file, name + ".weight", {out.channels, in.channels, kernel, kernel});
  const std::vector<float> bias = read_tensor(file, name + ".bias", {out.channels});
  const std::vector<float> reordered = channels_last(weight, out.channels, in.channels, kernel * kernel);
  const xnnpack::ConvolutionShape shape{.kernel = static_cast<std::uint32_t>(kernel),
                                        .stride = static_cast<std::uint32_t>(stride),
                                        .inputs = in.channels,
                                        .outputs = out.channels};
  // Nothing more where edgeattn initialised it, which it does where its products are XNNPACK's.
  xnn_status status = xnn_initialize(nullptr);
  xnn_operator_t created = nullptr;
  if (status == xnn_status_success) status = xnnpack::create(shape, reordered.data(), bias.data(), &created);
  operator_.reset(created);
  if (status == xnn_status_success) status = xnnpack::setup(created, in, out.values, pool);
  if (status != xnn_status_success)
    throw Failure("convolution '" + name + "': XNNPACK refuses it with status " + std::to_string(status));
}

void Convolution::run() const {
  if (xnn_run_operator(operator_.get(), pool_) != xnn_status_success) throw Failure("XNNPACK does not run a convolution");
}

}  // namespace sampler
