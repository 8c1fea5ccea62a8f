#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <utility>
#include <vector>

#include "block/parallel.h"
#include "edgeattn/io.h"
#include "errors.h"
#include "float64.h"
#include "plan/sizes.h"

namespace edgeattn::io {
namespace {

constexpr std::size_t kTileRows = 32;

/// Rows of numbers, `stride` apart.
template <class T>
struct Matrix {
  T* values;
  std::size_t stride;

  [[nodiscard]] T* row(std::size_t index) const { return values + index * stride; }
};
using In = Matrix<const double>;
using Out = Matrix<double>;

/// out[j] += Σ_k a[k]·b[k, j], four k at a time for the sake of out's loads and stores.
void add_rows(const double* a, In b, std::size_t inner, double* __restrict out, std::size_t columns) {
  std::size_t k = 0;
  for (; k + 4 <= inner; k += 4) {
    const double a0 = a[k], a1 = a[k + 1], a2 = a[k + 2], a3 = a[k + 3];
    const double* __restrict const b0 = b.row(k);
    const double* __restrict const b1 = b.row(k + 1);
    const double* __restrict const b2 = b.row(k + 2);
    const double* __restrict const b3 = b.row(k + 3);
    for (std::size_t j = 0; j < columns; ++j) out[j] += a0 * b0[j] + a1 * b1[j] + (a2 * b2[j] + a3 * b3[j]);
  }
  for (; k < inner; ++k) {
    const double* __restrict const row = b.row(k);
    for (std::size_t j = 0; j < columns; ++j) out[j] += a[k] * row[j];
  }
}

/// out[i, j] += Σ_k a[i, k]·b[k, j], in blocks of b that stay in a second-level cache while all rows use them.
void add_product(In a, In b, Out out, std::size_t rows, std::size_t inner, std::size_t columns) {
  constexpr std::size_t kInner = 64, kColumns = 256;
  for (std::size_t j = 0; j < columns; j += kColumns)
    for (std::size_t k = 0; k < inner; k += kInner)
      for (std::size_t i = 0; i < rows; ++i)
        add_rows(a.row(i) + k, {b.row(k) + j, b.stride}, std::min(kInner, inner - k), out.row(i) + j,
                 std::min(kColumns, columns - j));
}

/// A 1x1 convolution of C channels to C.
class Projection {
 public:
  Projection() = default;
  /// @param weight  [C, C], scaled by `factor`
  /// @param bias    [C], scaled too; null for zero
  Projection(const float* weight, const float* bias, std::size_t channels, double factor = 1)
      : columns_(channels * channels), bias_(channels) {
    for (std::size_t o = 0; o < channels; ++o) {
      if (bias != nullptr) bias_[o] = bias[o] * factor;
      for (std::size_t i = 0; i < channels; ++i) columns_[i * channels + o] = weight[o * channels + i] * factor;
    }
  }

  void run(In in, Out out, std::size_t rows) const {
    const std::size_t channels = bias_.size();
    for (std::size_t i = 0; i < rows; ++i) std::copy_n(bias_.data(), channels, out.row(i));
    add_product(in, {columns_.data(), channels}, out, rows, channels, channels);
  }

 private:
  std::vector<double> columns_, bias_;
};

/// What a slot has to itself.
struct Work {
  Work(std::size_t channels, std::size_t tokens)
      : scores(kTileRows * tokens), first(kTileRows * channels), second(kTileRows * channels) {}

  std::vector<double> scores, first, second;
  double largest_score = 0;
  bool overflows = false;
};

/// A block on images of one size. With folded weights keys and values are x̂.
class ExactBlock {
 public:
  ExactBlock(const BlockWeights& weights, std::size_t tokens, const Team& team)
      : weights_(weights),
        spec_(weights.spec),
        channels_(spec_.channels),
        tokens_(tokens),
        team_(team),
        folded_(!weights.score_weight.empty()),
        normalized_(channels_ * tokens),
        queries_(channels_ * tokens),
        keys_(channels_ * tokens),
        values_(folded_ ? 0 : channels_ * tokens),
        works_(team.slots, Work(channels_, tokens)) {
    const std::size_t c = channels_;
    const Weights view = weights.view();
    if (folded_) {
      query_ = Projection(view.score_weight, view.score_bias, c, std::numbers::ln2);
    } else {
      const auto part = [&](std::size_t index, double factor = 1) {
        const float* const bias = view.qkv_bias == nullptr ? nullptr : view.qkv_bias + index * c;
        return Projection(view.qkv_weight + index * c * c, bias, c, factor);
      };
      query_ = part(0, score_scale(spec_));
      key_ = part(1);
      value_ = part(2);
    }
    out_ = Projection(view.out_weight, view.out_bias, c);
  }

  /// @param y  where the image's result goes
  Status run(const Image& image, double* y) {
    const std::vector<Affine> norm = norm_of(weights_, image);
    for_each_tile([&](Work& work, std::size_t first, std::size_t rows) { project(image, norm, work, first, rows); });
    for_each_tile([&](Work& work, std::size_t first, std::size_t rows) { attend(image, work, first, rows, y); });
    const bool overflow = std::ranges::any_of(works_, &Work::overflows);
    return overflow ? invalid("scores of image ", image.index, " overflow, so that they have no weights") : Status();
  }

  [[nodiscard]] double largest_score() const {
    return std::ranges::max_element(works_, {}, &Work::largest_score)->largest_score;
  }

 private:
  /// Calls body(work, first, rows) for tiles of tokens, on all slots.
  template <class Body>
  void for_each_tile(Body body) {
    for_each_claimed(team_, sizes::divide_up(tokens_, kTileRows), [&](std::size_t slot, std::size_t tile) {
      body(works_[slot], tile * kTileRows, std::min(kTileRows, tokens_ - tile * kTileRows));
    });
  }

  /// x̂, q, kᵀ and v of some tokens.
  void project(const Image& image, const std::vector<Affine>& norm, Work& work, std::size_t first, std::size_t rows) {
    const std::size_t begin = first * channels_;
    const Out normalized{&normalized_[begin], channels_};
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t c = 0; c < channels_; ++c) normalized.row(i)[c] = norm[c](image.at(c, first + i));
    const In in{normalized.values, channels_};
    query_.run(in, {&queries_[begin], channels_}, rows);
    In keys = in;
    if (!folded_) {
      key_.run(in, {work.first.data(), channels_}, rows);
      value_.run(in, {&values_[begin], channels_}, rows);
      keys.values = work.first.data();
    }
    for (std::size_t c = 0; c < channels_; ++c)
      for (std::size_t i = 0; i < rows; ++i) keys_[c * tokens_ + first + i] = keys.row(i)[c];
  }

  /// y of some tokens.
  void attend(const Image& image, Work& work, std::size_t first, std::size_t rows, double* y) const {
    const std::size_t width = spec_.head_channels();
    const std::vector<double>& values = folded_ ? normalized_ : values_;
    std::ranges::fill(work.first, 0.0);
    for (std::size_t head = 0; head < channels_; head += width) {
      const Out scores{work.scores.data(), tokens_};
      std::ranges::fill(work.scores, 0.0);
      const In queries{&queries_[first * channels_ + head], channels_}, keys{&keys_[head * tokens_], tokens_};
      add_product(queries, keys, scores, rows, width, tokens_);
      for (std::size_t i = 0; i < rows; ++i) {
        const std::span<double> row(scores.row(i), tokens_);
        const auto [low, high] = std::ranges::minmax(row);
        work.largest_score = std::max({work.largest_score, -low, high});
        if (!softmax(row)) work.overflows = true;
      }
      add_product({scores.values, tokens_}, {&values[head], channels_}, {&work.first[head], channels_}, rows, tokens_, width);
    }
    const Out projected{work.second.data(), channels_};
    out_.run({work.first.data(), channels_}, projected, rows);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t c = 0; c < channels_; ++c)
        y[image.place(c, first + i)] =
            (projected.row(i)[c] + (spec_.residual ? image.at(c, first + i) : 0)) / spec_.rescale_output;
  }

  const BlockWeights& weights_;
  const Spec& spec_;
  std::size_t channels_, tokens_;
  Team team_;
  bool folded_;
  Projection query_, key_, value_, out_;
  std::vector<double> normalized_, queries_;  ///< [N, C]
  std::vector<double> keys_;                  ///< [C, N]
  std::vector<double> values_;                ///< [N, C]; none for folded weights
  std::vector<Work> works_;
};

Status check_weights(const BlockWeights& weights) {
  EDGEATTN_TRY(check_score_weights(weights));
  const std::size_t c = weights.spec.channels;
  const SizedTensor tensors[] = {{"to_out.weight", weights.out_weight, c, c, true, true},
                                 {"to_out.bias", weights.out_bias, 1, c, true, false}};
  return check_sizes(tensors);
}

}  // namespace

Status exact_output(const BlockWeights& weights, const Shape& shape, Layout layout, std::span<const float> x,
                    pthreadpool_t pool, ExactOutput& output) noexcept {
  return guarded(StatusCode::kInvalidArgument, "exact output", [&]() -> Status {
    EDGEATTN_TRY(check_weights(weights));
    const std::size_t c = weights.spec.channels;
    EDGEATTN_TRY(check_values(c, shape, x.size()));
    const auto image = [&](std::size_t index) { return image_of(c, shape, layout, x, index); };
    for (std::size_t b = 0; b < shape.batch; ++b) EDGEATTN_TRY(check_finite(image(b)));
    ExactBlock block(weights, shape.tokens(), {.pool = pool, .slots = pthreadpool_get_threads_count(pool)});
    ExactOutput result{.y = std::vector<double>(x.size()), .largest_score = 0};
    for (std::size_t b = 0; b < shape.batch; ++b) EDGEATTN_TRY(block.run(image(b), &result.y[b * c * shape.tokens()]));
    result.largest_score = block.largest_score();
    output = std::move(result);
    return {};
  });
}

}  // namespace edgeattn::io
