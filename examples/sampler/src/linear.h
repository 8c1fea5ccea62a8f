#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "edgeattn/io.h"

namespace sampler {

/// out = weight·in + bias
class Linear {
 public:
  /// @param name  of its tensors: NAME.weight [outputs, inputs], NAME.bias [outputs]
  /// Throws Failure.
  Linear(const edgeattn::io::SafetensorsFile& file, const std::string& name, std::size_t inputs, std::size_t outputs);

  /// @param in   [rows, inputs]
  /// @param out  [rows, outputs]; disjoint from in
  void run(const float* in, std::size_t rows, float* out) const;

 private:
  std::size_t inputs_;
  std::vector<float> transposed_;  // [inputs, outputs]
  std::vector<float> bias_;
};

}  // namespace sampler
