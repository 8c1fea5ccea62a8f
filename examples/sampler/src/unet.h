#pragma once

#include <pthreadpool.h>

#include <cstddef>
#include <string>

#include "attention.h"
#include "convolution.h"
#include "embedding.h"
#include "group_norm.h"
#include "maps.h"
#include "residual.h"

namespace sampler {

/// The UNet of examples/digits/unet.py: tells the noise in noisy images of digits. 16x16 pixels with 64 channels and 8x8 with
/// 128, attention at both and in between. All memory is allocated when one is made.
class Unet {
 public:
  static constexpr std::size_t kSide = 16;

  /// Image i is to be the digit i; attention has `precision`, the rest float32. Throws Failure.
  Unet(const edgeattn::io::SafetensorsFile& file, std::size_t images, edgeattn::Precision precision, std::size_t threads,
       pthreadpool_t pool);
  Unet(const Unet&) = delete;
  Unet& operator=(const Unet&) = delete;

  /// Where the images are to be put, [images, 16, 16, 1]; a run does not change them.
  [[nodiscard]] const Maps& images() const noexcept { return images_; }
  /// Predicts the noise in images of noise level t: [images, 16, 16, 1], valid until the next run.
  const Maps& run(std::size_t t);

  [[nodiscard]] const Attention& attention() const noexcept { return attention_; }
  [[nodiscard]] std::size_t map_bytes() const noexcept { return memory_.bytes(); }

 private:
  MapMemory memory_;
  pthreadpool_t pool_;
  // The first to touch XNNPACK, so that edgeattn initialises it where it multiplies with it.
  Attention attention_;
  Embedding embedding_;

  // At 16x16 and at 8x8; what the way up takes from the way down is `kept`.
  Maps images_, predicted_;
  Maps large_, large_kept_, large_joined_;
  Maps small_in_, small_kept_, small_, small_middle_, small_joined_;
  ResidualScratch scratch_;
  Maps normalized_;

  Convolution conv_in_, down_, up_, conv_out_;
  Residual d0_, d1_, m0_, m1_, u1_, u0_;
  GroupNorm norm_out_;
};

}  // namespace sampler
