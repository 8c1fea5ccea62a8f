#include <numbers>
#include <span>
#include <utility>
#include <vector>

#include "edgeattn/io.h"
#include "errors.h"
#include "float64.h"

namespace edgeattn::io {
namespace {

Status check_below(const char* name, std::size_t given, const char* limit_name, std::size_t limit) {
  return given < limit ? Status() : invalid(name, " ", given, ": expected one of the ", limit, " ", limit_name, ", from 0 on");
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
  const double scale = score_scale(weights.spec);
  for (std::size_t row = head * width; row < (head + 1) * width; ++row) {
    const double bias = weights.qkv_bias.empty() ? 0 : weights.qkv_bias[row];
    const double q = (dot(&weights.qkv_weight[row * c], query) + bias) * scale;
    const float* const key = &weights.qkv_weight[(c + row) * c];
    for (std::size_t i = 0; i < c; ++i) t[i] += key[i] * q;
  }
  return t;
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
    EDGEATTN_TRY(check_score_weights(weights));
    EDGEATTN_TRY(check_values(weights.spec.channels, shape, x.size()));
    EDGEATTN_TRY(check_below("image", query.image, "images", shape.batch));
    EDGEATTN_TRY(check_below("row", query.row, "rows", shape.height));
    EDGEATTN_TRY(check_below("column", query.column, "columns", shape.width));
    const Image image = image_of(weights.spec.channels, shape, layout, x, query.image);
    EDGEATTN_TRY(check_finite(image));
    return map_of(weights, image, query.row * shape.width + query.column, map);
  });
}

}  // namespace edgeattn::io
