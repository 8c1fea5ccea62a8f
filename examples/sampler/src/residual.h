#pragma once

#include <pthreadpool.h>

#include <optional>
#include <string>
#include <vector>

#include "convolution.h"
#include "group_norm.h"
#include "linear.h"
#include "maps.h"

namespace sampler {

/// What all residual layers overwrite; as large as the largest of them needs.
struct ResidualScratch {
  Maps normalized, hidden;
};

/// out = c2(silu(n2(c1(silu(n1(in))))·(1 + scale) + shift)) + skip(in), with scale and shift out of the embedding; skip is a
/// 1x1 convolution where the number of channels changes.
class Residual {
 public:
  /// @param name  of its layers: NAME.n1, NAME.c1, NAME.t, NAME.n2, NAME.c2, NAME.skip
  /// @param out   disjoint from in and scratch
  /// Throws Failure.
  Residual(const edgeattn::io::SafetensorsFile& file, const std::string& name, const Maps& in, const Maps& out,
           const ResidualScratch& scratch, pthreadpool_t pool);

  /// @param embedding  [images, Embedding::kSize]
  void run(const float* embedding);

 private:
  Maps in_, out_;
  Maps normalized_in_, normalized_out_, hidden_;  // on the scratch
  GroupNorm n1_, n2_;
  Convolution c1_, c2_;
  std::optional<Convolution> skip_;
  Linear t_;
  std::vector<float> modulation_;  // [images, 2, channels]
  pthreadpool_t pool_;
};

}  // namespace sampler
