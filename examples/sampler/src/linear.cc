#include "linear.h"

#include <algorithm>

#include "tensor_file.h"

namespace sampler {

Linear::Linear(const edgeattn::io::SafetensorsFile& file, const std::string& name, std::size_t inputs, std::size_t outputs)
    : inputs_(inputs), transposed_(inputs * outputs), bias_(read_tensor(file, name + ".bias", {outputs})) {
  const std::vector<float> weight = read_tensor(file, name + ".weight", {outputs, inputs});
  for (std::size_t o = 0; o < outputs; ++o)
    for (std::size_t i = 0; i < inputs; ++i) transposed_[i * outputs + o] = weight[o * inputs + i];
}

void Linear::run(const float* in, std::size_t rows, float* out) const {
  const std::size_t outputs = bias_.size();
  for (std::size_t r = 0; r < rows; ++r) {
    float* const row = out + r * outputs;
    std::ranges::copy(bias_, row);
    for (std::size_t i = 0; i < inputs_; ++i)
      for (std::size_t o = 0; o < outputs; ++o) row[o] += in[r * inputs_ + i] * transposed_[i * outputs + o];
  }
}

}  // namespace sampler
