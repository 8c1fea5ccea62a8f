#include "oracle.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace edgeattn::test {
namespace {

struct Affine {
  double mean, inverse_deviation, weight, bias;
};

/// Mean and deviation of every channel, two passes in float64. x is [C, N].
std::vector<Affine> norm_of(const io::BlockWeights& w, const std::vector<double>& x, std::size_t tokens) {
  const std::size_t channels = w.spec.channels;
  std::vector<Affine> affine(channels, {0, 1, 1, 0});
  if (w.spec.norm == Norm::kNone) return affine;
  const std::size_t group = w.spec.norm == Norm::kGroup ? channels / w.spec.groups : 1;
  for (std::size_t c = 0; c < channels; ++c) {
    double mean = 0, variance = 0;
    if (w.spec.norm == Norm::kBatch) {
      mean = w.running_mean[c];
      variance = w.running_var[c];
    } else {
      const std::size_t begin = c / group * group * tokens, count = group * tokens;
      for (std::size_t i = begin; i < begin + count; ++i) mean += x[i];
      mean /= static_cast<double>(count);
      for (std::size_t i = begin; i < begin + count; ++i) variance += (x[i] - mean) * (x[i] - mean);
      variance /= static_cast<double>(count);
    }
    affine[c] = {mean, 1 / std::sqrt(variance + w.spec.eps), w.norm_weight[c], w.norm_bias[c]};
  }
  return affine;
}

std::vector<float> magnitudes(const std::vector<float>& values) {
  std::vector<float> result(values.size());
  std::transform(values.begin(), values.end(), result.begin(), [](float value) { return std::fabs(value); });
  return result;
}

/// One image, all arithmetic but the statistics in T. x is [C, N]; so are the results.
template <class T>
class Attention {
 public:
  Attention(const io::BlockWeights& weights, const std::vector<double>& x, std::size_t tokens)
      : w_(weights), channels_(weights.spec.channels), tokens_(tokens), width_(channels_ / weights.spec.heads) {
    const std::vector<Affine> affine = norm_of(w_, x, tokens);
    normalized_.resize(channels_ * tokens);
    for (std::size_t c = 0; c < channels_; ++c)
      for (std::size_t n = 0; n < tokens; ++n)
        normalized_[n * channels_ + c] = static_cast<T>(x[c * tokens + n] - affine[c].mean) *
                                             static_cast<T>(affine[c].inverse_deviation * affine[c].weight) +
                                         static_cast<T>(affine[c].bias);
    q_ = project(w_.qkv_weight, w_.qkv_bias, 0, normalized_);
    keys_ = transposed(project(w_.qkv_weight, w_.qkv_bias, channels_, normalized_), tokens);
    v_ = project(w_.qkv_weight, w_.qkv_bias, 2 * channels_, normalized_);
    scale_ = static_cast<T>(w_.spec.scale != 0 ? w_.spec.scale : 1 / std::sqrt(static_cast<double>(width_)));
    mixed_.assign(tokens * channels_, T{0});
    for_each_row([&](std::size_t i, std::size_t begin, std::size_t end) {
      const std::vector<T> scores = score_row(q_, keys_, i, begin, end), weight = softmax(scores);
      for (const T value : scores) largest_score_ = std::max(largest_score_, std::fabs(value));
      for (std::size_t j = 0; j < tokens_; ++j)
        for (std::size_t c = begin; c < end; ++c) mixed_[i * channels_ + c] += weight[j] * v_[j * channels_ + c];
    });
  }

  std::vector<T> output(const std::vector<double>& x) const {
    const std::vector<T> projected = project(w_.out_weight, w_.out_bias, 0, mixed_);
    std::vector<T> y(channels_ * tokens_);
    for (std::size_t c = 0; c < channels_; ++c)
      for (std::size_t n = 0; n < tokens_; ++n)
        y[c * tokens_ + n] =
            (projected[n * channels_ + c] + (w_.spec.residual ? static_cast<T>(x[c * tokens_ + n]) : T{0})) /
            static_cast<T>(w_.spec.rescale_output);
    return y;
  }

  T largest_score() const { return largest_score_; }

  /// The softmax weights [heads, N] of one query.
  std::vector<T> weights_of(std::size_t token) const {
    std::vector<T> maps;
    for (std::size_t begin = 0; begin < channels_; begin += width_) {
      const std::vector<T> row = softmax(score_row(q_, keys_, token, begin, begin + width_));
      maps.insert(maps.end(), row.begin(), row.end());
    }
    return maps;
  }

  /// How far y moves at most when every score of a row moves by up to 4·2⁻²⁴ of the largest Σ_c |q_ic|·|k_jc| of its row, |q| and |k|
  /// being sums of magnitudes: what rounding in float32 may do to scores that nearly tie.
  std::vector<T> freedom() const {
    std::vector<T> large(normalized_.size());
    std::transform(normalized_.begin(), normalized_.end(), large.begin(), [](T value) { return std::fabs(value); });
    const std::vector<float> rows = magnitudes(w_.qkv_weight), bias = magnitudes(w_.qkv_bias);
    const std::vector<T> q = project(rows, bias, 0, large);
    const std::vector<T> keys = transposed(project(rows, bias, channels_, large), tokens_);
    std::vector<T> moved(tokens_ * channels_, T{0});
    for_each_row([&](std::size_t i, std::size_t begin, std::size_t end) {
      const std::vector<T> sizes = score_row(q, keys, i, begin, end);
      const T rounding = 8 * 0x1p-24 * *std::max_element(sizes.begin(), sizes.end());  // of one score up and of the others down
      const std::vector<T> scores = score_row(q_, keys_, i, begin, end), weight = softmax(scores);
      // The logarithm of the softmax's denominator, from the weight of the largest score.
      const std::size_t first = static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
      const T denominator = scores[first] - std::log(weight[first]);
      for (std::size_t j = 0; j < tokens_; ++j) {
        const T raised = std::exp(std::min(scores[j] - denominator + rounding, T{0}));
        const T change = std::max(raised - weight[j], weight[j] * -std::expm1(-rounding));
        for (std::size_t c = begin; c < end; ++c)
          moved[i * channels_ + c] += change * std::fabs(v_[j * channels_ + c] - mixed_[i * channels_ + c]);
      }
    });
    const std::vector<T> projected = project(magnitudes(w_.out_weight), {}, 0, moved);
    std::vector<T> y(channels_ * tokens_);
    for (std::size_t c = 0; c < channels_; ++c)
      for (std::size_t n = 0; n < tokens_; ++n)
        y[c * tokens_ + n] = projected[n * channels_ + c] / static_cast<T>(std::fabs(w_.spec.rescale_output));
    return y;
  }

 private:
  /// [N, C] of rows `first_row` and following of a weight. Sums are in index order, side by side.
  std::vector<T> project(const std::vector<float>& weight, const std::vector<float>& bias, std::size_t first_row,
                         const std::vector<T>& in) const {
    std::vector<T> columns(channels_ * channels_), out(tokens_ * channels_);
    for (std::size_t o = 0; o < channels_; ++o)
      for (std::size_t c = 0; c < channels_; ++c) columns[c * channels_ + o] = static_cast<T>(weight[(first_row + o) * channels_ + c]);
    for (std::size_t n = 0; n < tokens_; ++n) {
      T* const row = &out[n * channels_];
      for (std::size_t o = 0; o < channels_; ++o) row[o] = bias.empty() ? T{0} : static_cast<T>(bias[first_row + o]);
      for (std::size_t c = 0; c < channels_; ++c)
        for (std::size_t o = 0; o < channels_; ++o) row[o] += columns[c * channels_ + o] * in[n * channels_ + c];
    }
    return out;
  }

  /// Calls body(token, begin, end) for every token and head, whose channels are begin … end - 1.
  template <class Body>
  void for_each_row(Body body) const {
    for (std::size_t item = 0; item < tokens_ * w_.spec.heads; ++item)
      body(item / w_.spec.heads, item % w_.spec.heads * width_, (item % w_.spec.heads + 1) * width_);
  }

  static std::vector<T> transposed(const std::vector<T>& in, std::size_t rows) {
    const std::size_t columns = in.size() / rows;
    std::vector<T> out(in.size());
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j) out[j * rows + i] = in[i * columns + j];
    return out;
  }

  /// scale·q_i·k_j of one head for all j; `keys` is k transposed, [C, N].
  std::vector<T> score_row(const std::vector<T>& q, const std::vector<T>& keys, std::size_t i, std::size_t begin, std::size_t end) const {
    std::vector<T> scores(tokens_, T{0});
    for (std::size_t c = begin; c < end; ++c)
      for (std::size_t j = 0; j < tokens_; ++j) scores[j] += q[i * channels_ + c] * keys[c * tokens_ + j];
    for (T& value : scores) value *= scale_;
    return scores;
  }

  /// The softmax of a row of scores.
  static std::vector<T> softmax(std::vector<T> scores) {
    const T largest = *std::max_element(scores.begin(), scores.end());
    T total = 0;
    for (T& value : scores) total += value = std::exp(value - largest);
    for (T& value : scores) value /= total;
    return scores;
  }

  const io::BlockWeights& w_;
  std::size_t channels_;
  std::size_t tokens_;
  std::size_t width_;
  std::vector<T> normalized_, q_, v_, mixed_;  ///< [N, C]
  std::vector<T> keys_;                        ///< [C, N]
  T scale_;
  T largest_score_ = 0;  ///< in magnitude
};

std::size_t index_of(Layout layout, std::size_t channels, std::size_t tokens, std::size_t c, std::size_t n) {
  return layout == Layout::kNchw ? c * tokens + n : n * channels + c;
}

/// Image b as [C, N].
std::vector<double> planar_image(const io::BlockWeights& weights, const Shape& shape, Layout layout, const std::vector<float>& x,
                                 std::size_t b) {
  const std::size_t channels = weights.spec.channels, tokens = shape.tokens(), image = channels * tokens;
  std::vector<double> planar(image);
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t n = 0; n < tokens; ++n) planar[c * tokens + n] = x[b * image + index_of(layout, channels, tokens, c, n)];
  return planar;
}

}  // namespace

Reference reference(const io::BlockWeights& weights, const Shape& shape, Layout layout, const std::vector<float>& x, bool with_freedom) {
  const std::size_t channels = weights.spec.channels, tokens = shape.tokens(), image = channels * tokens;
  Reference result{std::vector<double>(x.size()), std::vector<float>(x.size()), std::vector<double>(x.size()), 0};
  for (std::size_t b = 0; b < shape.batch; ++b) {
    const std::vector<double> planar = planar_image(weights, shape, layout, x, b);
    const auto keep = [&](const auto& values, auto& kept) {
      for (std::size_t c = 0; c < channels; ++c)
        for (std::size_t n = 0; n < tokens; ++n) kept[b * image + index_of(layout, channels, tokens, c, n)] = values[c * tokens + n];
    };
    const Attention<double> exact(weights, planar, tokens);
    keep(exact.output(planar), result.exact);
    result.largest_score = std::max(result.largest_score, exact.largest_score());
    keep(Attention<float>(weights, planar, tokens).output(planar), result.naive);
    if (with_freedom) keep(exact.freedom(), result.freedom);
  }
  return result;
}

std::vector<double> reference_attention(const io::BlockWeights& weights, const Shape& shape, Layout layout,
                                        const std::vector<float>& x, std::size_t image, std::size_t token) {
  return Attention<double>(weights, planar_image(weights, shape, layout, x, image), shape.tokens()).weights_of(token);
}

ErrorBound judge(const Reference& reference, const Shape& shape, const std::vector<float>& x, const std::vector<float>& y,
                 const Leniency& leniency) {
  constexpr double kUlps = 8 * 0x1p-24;
  const std::size_t image = x.size() / shape.batch;
  ErrorBound worst;
  for (std::size_t begin = 0; begin < x.size(); begin += image) {
    double naive_error = 0;
    for (std::size_t i = begin; i < begin + image; ++i)
      if (std::isfinite(reference.naive[i])) naive_error = std::max(naive_error, std::fabs(reference.naive[i] - reference.exact[i]));
    for (std::size_t i = begin; i < begin + image; ++i) {
      if (leniency.nan && std::isnan(y[i])) continue;
      const double error = std::fabs(y[i] - reference.exact[i]);
      const double magnitude = std::max(std::fabs(double{x[i]}), std::fabs(reference.exact[i]));
      const double excess = error / (2 * naive_error + kUlps * magnitude + reference.freedom[i] + leniency.floor);
      // Written so that a NaN counts as an excess.
      if (!(error == 0 || excess <= worst.worst_excess)) worst.worst_excess = std::isnan(excess) ? INFINITY : excess;
      if (!(error <= worst.worst_error)) worst.worst_error = error;
    }
  }
  return worst;
}

}  // namespace edgeattn::test
