#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <utility>
#include <vector>

#include "checked.h"
#include "edgeattn/io.h"
#include "errors.h"

namespace edgeattn::io {
namespace {

Status invalid(auto... parts) { return Status::error(StatusCode::kInvalidArgument, parts...); }

Status check_below(const char* name, std::size_t given, const char* limit_name, std::size_t limit) {
  return given < limit ? Status() : invalid(name, " ", given, ": expected one of the ", limit, " ", limit_name, ", from 0 on");
}

/// Whether all of `weights` that scores depend on has the size that its spec tells.
Status check_weights(const BlockWeights& weights) {
  const Spec& spec = weights.spec;
  const std::size_t c = spec.channels;
  if (c == 0) return invalid("channels: expected at least 1, given 0");
  if (spec.heads == 0 || c % spec.heads != 0)
    return invalid("heads: expected a divisor of the ", c, " channels, given ", spec.heads);
  if (spec.norm == Norm::kGroup && (spec.groups == 0 || c % spec.groups != 0))
    return invalid("groups: expected a divisor of the ", c, " channels, given ", spec.groups);
  const bool folded = !weights.score_weight.empty();
  if (folded && spec.heads > 1) return invalid("weights: folded weights have one head, the spec has ", spec.heads);

  struct Sized {
    const char* name;
    const std::vector<float>& values;
    std::size_t rows, columns;
    bool used, required;
  };
  const bool batch = spec.norm == Norm::kBatch;
  const Sized tensors[] = {
      {"norm.weight", weights.norm_weight, 1, c, spec.norm != Norm::kNone, true},
      {"norm.bias", weights.norm_bias, 1, c, spec.norm != Norm::kNone, true},
      {"norm.running_mean", weights.running_mean, 1, c, batch, true},
      {"norm.running_var", weights.running_var, 1, c, batch, true},
      {"to_qkv.weight", weights.qkv_weight, 3 * c, c, !folded, true},
      {"to_qkv.bias", weights.qkv_bias, 3, c, !folded, false},
      {"score.weight", weights.score_weight, c, c, folded, true},
      {"score.bias", weights.score_bias, 1, c, folded, false},
  };
  for (const auto& [name, values, rows, columns, used, required] : tensors)
    if (used && (required || !values.empty()) && (values.size() % columns != 0 || values.size() / columns != rows))
      return invalid("weights: ", name, ": expected ", rows, " x ", columns, " values, given ", values.size());
  return {};
}

/// One image in either layout.
struct Image {
  const float* values;
  std::size_t channels, tokens;
  std::size_t channel_stride, token_stride;

  [[nodiscard]] double at(std::size_t channel, std::size_t token) const {
    return values[channel * channel_stride + token * token_stride];
  }
};

Status check_finite(const Image& image, std::size_t width) {
  for (std::size_t c = 0; c < image.channels; ++c)
    for (std::size_t n = 0; n < image.tokens; ++n)
      if (!std::isfinite(image.at(c, n)))
        return invalid("not finite at channel ", c, ", row ", n / width, ", column ", n % width,
                       ", so that no weight of the image is a number");
  return {};
}

/// x̂ = (x - mean)·scale + shift of a channel.
struct Affine {
  double mean = 0, scale = 1, shift = 0;

  [[nodiscard]] double operator()(double x) const { return (x - mean) * scale + shift; }
};

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

/// Σ_i row[i]·x[i]
double dot(const float* row, std::span<const double> x) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += row[i] * x[i];
  return sum;
}

/// t of one head, [C]: its scores are t·x̂ plus what is the same for all pixels. t = Wkᵀq·scale of the head's rows, or what the
/// weights were folded to, whose scores are for exp2.
std::vector<double> direction(const BlockWeights& weights, std::span<const double> query, std::size_t head) {
  const std::size_t c = weights.spec.channels, width = weights.spec.head_channels();
  std::vector<double> t(c);
  if (!weights.score_weight.empty()) {
    for (std::size_t o = 0; o < c; ++o) {
      const double bias = weights.score_bias.empty() ? 0 : weights.score_bias[o];
      t[o] = (dot(&weights.score_weight[o * c], query) + bias) * std::numbers::ln2;
    }
    return t;
  }
  const double scale = weights.spec.scale != 0 ? weights.spec.scale : 1 / std::sqrt(static_cast<double>(width));
  for (std::size_t row = head * width; row < (head + 1) * width; ++row) {
    const double bias = weights.qkv_bias.empty() ? 0 : weights.qkv_bias[row];
    const double q = (dot(&weights.qkv_weight[row * c], query) + bias) * scale;
    const float* const key = &weights.qkv_weight[(c + row) * c];
    for (std::size_t i = 0; i < c; ++i) t[i] += key[i] * q;
  }
  return t;
}

/// Scores → weights in place. False if a score is not finite.
bool softmax(std::span<double> scores) {
  if (!std::all_of(scores.begin(), scores.end(), [](double score) { return std::isfinite(score); })) return false;
  const double largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& score : scores) sum += score = std::exp(score - largest);
  for (double& score : scores) score /= sum;
  return true;
}

Status map_of(const BlockWeights& weights, const Image& image, std::size_t query_token, std::vector<double>& map) {
  const std::size_t heads = weights.spec.heads;
  const std::vector<Affine> norm = norm_of(weights, image);
  std::vector<double> query(image.channels);
  for (std::size_t c = 0; c < image.channels; ++c) query[c] = norm[c](image.at(c, query_token));

  std::vector<double> result(heads * image.tokens);
  for (std::size_t head = 0; head < heads; ++head) {
    const std::span<double> scores = std::span(result).subspan(head * image.tokens, image.tokens);
    const std::vector<double> t = direction(weights, query, head);
    // Shifts add the same to all scores.
    for (std::size_t c = 0; c < image.channels; ++c)
      for (std::size_t n = 0; n < image.tokens; ++n) scores[n] += t[c] * norm[c].scale * (image.at(c, n) - norm[c].mean);
    if (!softmax(scores)) return invalid("scores overflow, so that they have no weights");
  }
  map = std::move(result);
  return {};
}

}  // namespace

Status attention_map(const BlockWeights& weights, const Shape& shape, Layout layout, std::span<const float> x,
                     const AttentionQuery& query, std::vector<double>& map) noexcept {
  return guarded(StatusCode::kInvalidArgument, "attention map", [&]() -> Status {
    EDGEATTN_TRY(check_weights(weights));
    const std::size_t c = weights.spec.channels;
    std::size_t tokens = 1, values = c;
    const std::size_t sizes[] = {shape.height, shape.width, shape.batch};
    if (!multiply(tokens, std::span(sizes, 2)) || !multiply(values, sizes) || values != x.size())
      return invalid("x: expected as many values as its shape has, given ", x.size());
    EDGEATTN_TRY(check_below("image", query.image, "images", shape.batch));
    EDGEATTN_TRY(check_below("row", query.row, "rows", shape.height));
    EDGEATTN_TRY(check_below("column", query.column, "columns", shape.width));
    const bool planar = layout == Layout::kNchw;
    const Image image{.values = x.data() + query.image * c * tokens,
                      .channels = c,
                      .tokens = tokens,
                      .channel_stride = planar ? tokens : 1,
                      .token_stride = planar ? 1 : c};
    EDGEATTN_TRY(check_finite(image, shape.width));
    return map_of(weights, image, query.row * shape.width + query.column, map);
  });
}

}  // namespace edgeattn::io
