#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "edgeattn/io.h"

/// What computations in float64, from weights as given, have in common.
namespace edgeattn::io {

Status invalid(auto... parts) { return Status::error(StatusCode::kInvalidArgument, parts...); }

/// A tensor of a block, and the size that the block's spec tells.
struct SizedTensor {
  const char* name;
  const std::vector<float>& values;
  std::size_t rows, columns;
  bool used, required;
};

Status check_sizes(std::span<const SizedTensor> tensors);

/// Whether all of `weights` that scores depend on has the size that its spec tells.
Status check_score_weights(const BlockWeights& weights);

/// Whether x has `given` values: as many as `channels` and `shape` tell.
Status check_values(std::size_t channels, const Shape& shape, std::size_t given);

/// One image in either layout.
struct Image {
  const float* values;
  std::size_t channels, tokens;
  std::size_t channel_stride, token_stride;
  std::size_t width;  ///< pixels of a row
  std::size_t index;  ///< in the batch

  [[nodiscard]] std::size_t place(std::size_t channel, std::size_t token) const {
    return channel * channel_stride + token * token_stride;
  }
  [[nodiscard]] double at(std::size_t channel, std::size_t token) const { return values[place(channel, token)]; }
};

Image image_of(std::size_t channels, const Shape& shape, Layout layout, std::span<const float> x, std::size_t index);

/// kInvalidArgument says where the first value of the image is that is not finite.
Status check_finite(const Image& image);

/// x̂ of one channel from x.
struct Affine {
  double mean = 0, scale = 1, shift = 0;

  [[nodiscard]] double operator()(double x) const { return (x - mean) * scale + shift; }
};

/// Of every channel.
std::vector<Affine> norm_of(const BlockWeights& weights, const Image& image);

/// 1/√(C/heads), unless the spec says otherwise.
double score_scale(const Spec& spec);

/// Scores → weights in place. False if a score is not finite.
bool softmax(std::span<double> scores);

}  // namespace edgeattn::io
