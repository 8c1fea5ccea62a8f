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

/// [N, C] of x [C, N].
template <class T>
std::vector<T> normalize(const io::BlockWeights& w, const std::vector<double>& x, std::size_t tokens) {
  const std::size_t channels = w.spec.channels;
  const std::vector<Affine> affine = norm_of(w, x, tokens);
  std::vector<T> normalized(channels * tokens);
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t n = 0; n < tokens; ++n)
      normalized[n * channels + c] = static_cast<T>(x[c * tokens + n] - affine[c].mean) *
                                         static_cast<T>(affine[c].inverse_deviation * affine[c].weight) +
                                     static_cast<T>(affine[c].bias);
  return normalized;
}

/// C rows of a weight, from `first_row` on, over [N, C].
template <class T>
std::vector<T> project(const std::vector<float>& weight, const std::vector<float>& bias, std::size_t first_row,
                       std::size_t channels, const std::vector<T>& in) {
  const std::size_t tokens = in.size() / channels;
  std::vector<T> out(tokens * channels);
  for (std::size_t n = 0; n < tokens; ++n) {
    for (std::size_t o = 0; o < channels; ++o) {
      T sum = bias.empty() ? T{0} : static_cast<T>(bias[first_row + o]);
      const float* row = &weight[(first_row + o) * channels];
      for (std::size_t c = 0; c < channels; ++c) sum += static_cast<T>(row[c]) * in[n * channels + c];
      out[n * channels + o] = sum;
    }
  }
  return out;
}

/// The softmax weights [N] of query i in one head; q and k are [N, C].
template <class T>
void attention_row(const Spec& spec, const std::vector<T>& q, const std::vector<T>& k, std::size_t i, std::size_t head,
                   std::vector<T>& weights) {
  const std::size_t channels = spec.channels, width = channels / spec.heads, begin = head * width, end = begin + width;
  const T scale = static_cast<T>(spec.scale != 0 ? spec.scale : 1 / std::sqrt(static_cast<double>(width)));
  T largest = -std::numeric_limits<T>::infinity();
  for (std::size_t j = 0; j < weights.size(); ++j) {
    T sum = 0;
    for (std::size_t c = begin; c < end; ++c) sum += q[i * channels + c] * k[j * channels + c];
    weights[j] = sum * scale;
    largest = std::max(largest, weights[j]);
  }
  T total = 0;
  for (T& weight : weights) total += weight = std::exp(weight - largest);
  for (T& weight : weights) weight /= total;
}

/// One image, all arithmetic but the statistics in T. x is [C, N]; so is the result.
template <class T>
std::vector<T> attend(const io::BlockWeights& w, const std::vector<double>& x, std::size_t tokens) {
  const std::size_t channels = w.spec.channels, width = channels / w.spec.heads;
  const std::vector<T> normalized = normalize<T>(w, x, tokens);
  const std::vector<T> q = project(w.qkv_weight, w.qkv_bias, 0, channels, normalized);
  const std::vector<T> k = project(w.qkv_weight, w.qkv_bias, channels, channels, normalized);
  const std::vector<T> v = project(w.qkv_weight, w.qkv_bias, 2 * channels, channels, normalized);

  std::vector<T> mixed(tokens * channels, T{0});
  std::vector<T> weights(tokens);
  for (std::size_t item = 0; item < tokens * w.spec.heads; ++item) {
    const std::size_t i = item / w.spec.heads, head = item % w.spec.heads, begin = head * width, end = begin + width;
    attention_row(w.spec, q, k, i, head, weights);
    for (std::size_t j = 0; j < tokens; ++j)
      for (std::size_t c = begin; c < end; ++c) mixed[i * channels + c] += weights[j] * v[j * channels + c];
  }
  const std::vector<T> projected = project(w.out_weight, w.out_bias, 0, channels, mixed);
  std::vector<T> y(channels * tokens);
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t n = 0; n < tokens; ++n)
      y[c * tokens + n] =
          (projected[n * channels + c] + (w.spec.residual ? static_cast<T>(x[c * tokens + n]) : T{0})) /
          static_cast<T>(w.spec.rescale_output);
  return y;
}

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

Reference reference(const io::BlockWeights& weights, const Shape& shape, Layout layout, const std::vector<float>& x) {
  const std::size_t channels = weights.spec.channels, tokens = shape.tokens(), image = channels * tokens;
  Reference result{std::vector<double>(x.size()), std::vector<float>(x.size())};
  for (std::size_t b = 0; b < shape.batch; ++b) {
    const std::vector<double> planar = planar_image(weights, shape, layout, x, b);
    const std::vector<double> exact = attend<double>(weights, planar, tokens);
    const std::vector<float> naive = attend<float>(weights, planar, tokens);
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t n = 0; n < tokens; ++n) {
        const std::size_t index = b * image + index_of(layout, channels, tokens, c, n);
        result.exact[index] = exact[c * tokens + n];
        result.naive[index] = naive[c * tokens + n];
      }
    }
  }
  return result;
}

std::vector<double> reference_attention(const io::BlockWeights& weights, const Shape& shape, Layout layout,
                                        const std::vector<float>& x, std::size_t image, std::size_t token) {
  const std::size_t channels = weights.spec.channels;
  const std::vector<double> normalized =
      normalize<double>(weights, planar_image(weights, shape, layout, x, image), shape.tokens());
  const std::vector<double> q = project(weights.qkv_weight, weights.qkv_bias, 0, channels, normalized);
  const std::vector<double> k = project(weights.qkv_weight, weights.qkv_bias, channels, channels, normalized);
  std::vector<double> maps, row(shape.tokens());
  for (std::size_t head = 0; head < weights.spec.heads; ++head) {
    attention_row(weights.spec, q, k, token, head, row);
    maps.insert(maps.end(), row.begin(), row.end());
  }
  return maps;
}

ErrorBound judge(const Reference& reference, const Shape& shape, const std::vector<float>& x,
                 const std::vector<float>& y) {
  constexpr double kUlps = 8 * 0x1p-24;
  const std::size_t image = x.size() / shape.batch;
  ErrorBound worst;
  for (std::size_t begin = 0; begin < x.size(); begin += image) {
    double naive_error = 0;
    for (std::size_t i = begin; i < begin + image; ++i)
      naive_error = std::max(naive_error, std::fabs(reference.naive[i] - reference.exact[i]));
    for (std::size_t i = begin; i < begin + image; ++i) {
      const double error = std::fabs(y[i] - reference.exact[i]);
      const double magnitude = std::max(std::fabs(double{x[i]}), std::fabs(reference.exact[i]));
      const double excess = error / (2 * naive_error + kUlps * magnitude);
      // Written so that a NaN counts as an excess.
      if (!(error == 0 || excess <= worst.worst_excess)) worst.worst_excess = std::isnan(excess) ? INFINITY : excess;
      if (!(error <= worst.worst_error)) worst.worst_error = error;
    }
  }
  return worst;
}

}  // namespace edgeattn::test
