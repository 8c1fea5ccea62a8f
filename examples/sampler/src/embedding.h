#pragma once

#include <cstddef>
#include <vector>

#include "linear.h"

namespace sampler {

/// Tells every layer how noisy its images are, and which digits they are to be.
class Embedding {
 public:
  static constexpr std::size_t kSize = 128;
  static constexpr std::size_t kDigits = 10;

  /// Image i is to be the digit i. Throws Failure.
  Embedding(const edgeattn::io::SafetensorsFile& file, std::size_t images);

  /// Embeds noise level t ≥ 0.
  ///
  /// @return [images, kSize], after the SiLU that each layer begins with; valid until the next run
  const float* run(std::size_t t);

 private:
  Linear first_, second_;
  std::vector<float> labels_;                   // [kDigits, kSize]
  std::vector<float> waves_, hidden_, time_, embedded_;
};

}  // namespace sampler
