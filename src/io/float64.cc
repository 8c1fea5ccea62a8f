#include "float64.h"

#include <algorithm>
#include <cmath>

#include "checked.h"

namespace edgeattn::io {

Status check_sizes(std::span<const SizedTensor> tensors) {
  for (const auto& [name, values, rows, columns, used, required] : tensors)
    if (used && (required || !values.empty()) && (values.size() % columns != 0 || values.size() / columns != rows))
      return invalid("weights: ", name, ": expected ", rows, " x ", columns, " values, given ", values.size());
  return {};
}

Status check_score_weights(const BlockWeights& weights) {
  const Spec& spec = weights.spec;
  const std::size_t c = spec.channels;
  if (c == 0) return invalid("channels: expected at least 1, given 0");
  if (spec.heads == 0 || c % spec.heads != 0)
    return invalid("heads: expected a divisor of the ", c, " channels, given ", spec.heads);
  if (spec.norm == Norm::kGroup && (spec.groups == 0 || c % spec.groups != 0))
    return invalid("groups: expected a divisor of the ", c, " channels, given ", spec.groups);
  const bool folded = !weights.score_weight.empty();
  if (folded && spec.heads > 1) return invalid("weights: folded weights have one head, the spec has ", spec.heads);

  const bool batch = spec.norm == Norm::kBatch;
  const SizedTensor tensors[] = {
      {"norm.weight", weights.norm_weight, 1, c, spec.norm != Norm::kNone, true},
      {"norm.bias", weights.norm_bias, 1, c, spec.norm != Norm::kNone, true},
      {"norm.running_mean", weights.running_mean, 1, c, batch, true},
      {"norm.running_var", weights.running_var, 1, c, batch, true},
      {"to_qkv.weight", weights.qkv_weight, 3 * c, c, !folded, true},
      {"to_qkv.bias", weights.qkv_bias, 3, c, !folded, false},
      {"score.weight", weights.score_weight, c, c, folded, true},
      {"score.bias", weights.score_bias, 1, c, folded, false},
  };
  return check_sizes(tensors);
}

Status check_values(std::size_t channels, const Shape& shape, std::size_t given) {
  std::size_t values = channels;
  const std::size_t sizes[] = {shape.height, shape.width, shape.batch};
  if (multiply(values, sizes) && values == given) return {};
  return invalid("x: expected as many values as its shape has, given ", given);
}

Image image_of(std::size_t channels, const Shape& shape, Layout layout, std::span<const float> x, std::size_t index) {
  const bool planar = layout == Layout::kNchw;
  return {.values = x.data() + index * channels * shape.tokens(),
          .channels = channels,
          .tokens = shape.tokens(),
          .channel_stride = planar ? shape.tokens() : 1,
          .token_stride = planar ? 1 : channels,
          .width = shape.width,
          .index = index};
}

Status check_finite(const Image& image) {
  for (std::size_t c = 0; c < image.channels; ++c)
    for (std::size_t n = 0; n < image.tokens; ++n)
      if (!std::isfinite(image.at(c, n)))
        return invalid("not finite at channel ", c, ", row ", n / image.width, ", column ", n % image.width, " of image ",
                       image.index, ", so that none of its results is a number");
  return {};
}

std::vector<Affine> norm_of(const BlockWeights& weights, const Image& image) {
  const Spec& spec = weights.spec;
  std::vector<Affine> norm(spec.channels);
  if (spec.norm == Norm::kNone) return norm;
  const auto affine = [&](std::size_t c, double mean, double variance) {
    norm[c] = {.mean = mean, .scale = weights.norm_weight[c] / std::sqrt(variance + spec.eps), .shift = weights.norm_bias[c]};
  };
  if (spec.norm == Norm::kBatch) {
    for (std::size_t c = 0; c < spec.channels; ++c) affine(c, weights.running_mean[c], weights.running_var[c]);
    return norm;
  }
  const std::size_t group = spec.norm == Norm::kGroup ? spec.channels / spec.groups : 1;
  for (std::size_t first = 0; first < spec.channels; first += group) {
    const auto mean_of = [&](auto value) {
      double sum = 0;
      for (std::size_t c = first; c < first + group; ++c)
        for (std::size_t n = 0; n < image.tokens; ++n) sum += value(image.at(c, n));
      return sum / static_cast<double>(group) / static_cast<double>(image.tokens);
    };
    const double mean = mean_of([](double x) { return x; });
    const double variance = mean_of([mean](double x) { return (x - mean) * (x - mean); });
    for (std::size_t c = first; c < first + group; ++c) affine(c, mean, variance);
  }
  return norm;
}

double score_scale(const Spec& spec) {
  return spec.scale != 0 ? spec.scale : 1 / std::sqrt(static_cast<double>(spec.head_channels()));
}

bool softmax(std::span<double> scores) {
  if (!std::all_of(scores.begin(), scores.end(), [](double score) { return std::isfinite(score); })) return false;
  const double largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& score : scores) sum += score = std::exp(score - largest);
  for (double& score : scores) score /= sum;
  return true;
}

}  // namespace edgeattn::io
