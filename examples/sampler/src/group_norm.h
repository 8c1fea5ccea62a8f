#pragma once

#include <pthreadpool.h>

#include <string>
#include <vector>

#include "edgeattn/io.h"
#include "maps.h"

namespace sampler {

/// x / (1 + exp(-x))
float silu(float x) noexcept;

/// GroupNorm of 32 groups, followed by SiLU as everywhere in this network.
class GroupNorm {
 public:
  /// @param name  of its tensors: NAME.weight and NAME.bias, [channels]
  /// Throws Failure.
  GroupNorm(const edgeattn::io::SafetensorsFile& file, const std::string& name, std::size_t channels);

  /// out = silu(norm(in)·(1 + scale) + shift), one image after another on any thread of the pool.
  ///
  /// @param modulation  [images, 2, channels]: scale and shift of each image; null means zeros
  /// @param out         the size of in; disjoint from it, or the same
  void run(const Maps& in, const float* modulation, const Maps& out, pthreadpool_t pool) const;

 private:
  void run_image(const Maps& in, const float* modulation, const Maps& out, std::size_t image) const;

  std::vector<float> weight_, bias_;
};

}  // namespace sampler
