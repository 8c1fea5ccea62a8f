#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>
#include <string>

#include "harness.h"
#include "oracle.h"

/// What io::attention_map says a pixel attends to, against q and k in float64.
namespace edgeattn::test {
namespace {

constexpr double kLargestError = 1e-6;

using io::AttentionQuery;
using io::BlockWeights;

std::vector<double> map_of(const BlockWeights& weights, const Shape& shape, Layout layout, const std::vector<float>& x,
                           const AttentionQuery& query) {
  std::vector<double> map;
  REQUIRE_OK(io::attention_map(weights, shape, layout, x, query, map));
  return map;
}

/// The largest difference, after a check that every head's weights sum to one.
double check_map(const std::vector<double>& map, const std::vector<double>& expected, std::size_t tokens) {
  REQUIRE(map.size() == expected.size());
  double worst = 0;
  for (std::size_t i = 0; i < map.size(); ++i) {
    const double error = std::fabs(map[i] - expected[i]);
    if (!(error <= worst)) worst = error;
  }
  CHECK(worst <= kLargestError);
  for (auto head = map.begin(); head != map.end(); head += static_cast<std::ptrdiff_t>(tokens))
    CHECK(std::accumulate(head, head + static_cast<std::ptrdiff_t>(tokens), 0.0) == doctest::Approx(1).epsilon(1e-12));
  return worst;
}

TEST_CASE("attention maps of all norms, layouts and heads, of weights as trained and folded") {
  struct Row {
    Spec spec;
    Shape shape;
    double mean = 0;  ///< of x, in deviations
  };
  const Row rows[] = {
      {{.channels = 64, .norm = Norm::kGroup, .groups = 32}, {2, 8, 8}},
      {{.channels = 24, .norm = Norm::kGroup, .groups = 4, .heads = 4, .scale = 0.7}, {2, 5, 7}, 1e4},
      {{.channels = 17, .norm = Norm::kInstance, .eps = 1e-3}, {3, 6, 4}},
      {{.channels = 16, .norm = Norm::kInstance, .heads = 4}, {1, 9, 3}},
      {{.channels = 12, .norm = Norm::kBatch}, {2, 4, 5}, 0.5},
      {{.channels = 20, .norm = Norm::kBatch, .heads = 4}, {1, 1, 11}},
      {{.channels = 10, .norm = Norm::kNone, .scale = 0.3}, {2, 3, 3}},
      {{.channels = 8, .norm = Norm::kNone, .heads = 4, .residual = false}, {1, 6, 6}},
      {{.channels = 1, .norm = Norm::kNone}, {1, 1, 1}},
  };
  double worst = 0, worst_folded = 0;
  std::uint64_t stream = 0;
  for (const Row& row : rows) {
    CAPTURE(to_string(row.spec.norm));
    CAPTURE(row.spec.heads);
    const BlockWeights weights = random_weights(row.spec, ++stream);
    std::mt19937_64 engine = random_engine(stream);
    const std::vector<float> x = normal_values(engine, row.shape.batch * row.spec.channels * row.shape.tokens(), row.mean);
    for (const Layout layout : {Layout::kNchw, Layout::kNhwc}) {
      for (std::size_t image = 0; image < row.shape.batch; ++image) {
        for (const std::size_t token : {std::size_t{0}, row.shape.tokens() / 2, row.shape.tokens() - 1}) {
          const AttentionQuery query{.image = image, .row = token / row.shape.width, .column = token % row.shape.width};
          const std::vector<double> expected = reference_attention(weights, row.shape, layout, x, image, token);
          worst = std::max(worst, check_map(map_of(weights, row.shape, layout, x, query), expected, row.shape.tokens()));
          if (row.spec.heads > 1) continue;
          BlockWeights folded;
          REQUIRE_OK(io::fold_block(weights, detect_machine(), folded));
          worst_folded = std::max(
              worst_folded, check_map(map_of(folded, row.shape, layout, x, query), expected, row.shape.tokens()));
        }
      }
    }
  }
  std::printf("attention maps: largest error %.1e, of folded weights %.1e\n", worst, worst_folded);
}

TEST_CASE("attention maps of weights without biases") {
  const Shape shape{1, 4, 4};
  BlockWeights weights = random_weights({.channels = 8, .groups = 2, .heads = 2}, 1);
  weights.qkv_bias.clear();
  std::mt19937_64 engine = random_engine(1);
  const std::vector<float> x = normal_values(engine, 8 * 16);
  check_map(map_of(weights, shape, Layout::kNchw, x, {.row = 1, .column = 2}),
            reference_attention(weights, shape, Layout::kNchw, x, 0, 6), 16);
}

/// Values that depend on nothing but x̂: mixing them by the map gives what the block puts out.
TEST_CASE("an attention map is what a run mixes values by") {
  const Spec spec{.channels = 16, .groups = 4, .residual = false};
  const Shape shape{2, 5, 5};
  const std::size_t c = spec.channels, tokens = shape.tokens();
  BlockWeights weights = random_weights(spec, 2);
  std::fill(weights.out_bias.begin(), weights.out_bias.end(), 0.0f);
  std::fill(weights.qkv_bias.begin(), weights.qkv_bias.end(), 0.0f);
  for (std::size_t o = 0; o < c; ++o) {
    for (std::size_t i = 0; i < c; ++i) {
      weights.out_weight[o * c + i] = o == i ? 1.0f : 0.0f;
      weights.qkv_weight[(2 * c + o) * c + i] = o == i ? 1.0f : 0.0f;
    }
  }
  std::fill(weights.norm_weight.begin(), weights.norm_weight.end(), 1.0f);
  std::fill(weights.norm_bias.begin(), weights.norm_bias.end(), 0.0f);
  std::mt19937_64 engine = random_engine(2);
  std::vector<float> x = normal_values(engine, 2 * c * tokens);
  const std::vector<float> y = TestBlock(weights, shape, {}).run(x);
  const std::vector<double> map = map_of(weights, shape, Layout::kNchw, x, {.image = 1, .row = 3, .column = 1});
  for (std::size_t first = 0; first < c; first += 4) {
    const float* const group = &x[(c + first) * tokens];
    const double count = static_cast<double>(4 * tokens);
    const double mean = std::accumulate(group, group + 4 * tokens, 0.0) / count;
    const double variance =
        std::accumulate(group, group + 4 * tokens, 0.0, [&](double sum, float v) { return sum + (v - mean) * (v - mean); }) / count;
    for (std::size_t channel = first; channel < first + 4; ++channel) {
      double mixed = 0;
      for (std::size_t n = 0; n < tokens; ++n)
        mixed += map[n] * (x[(c + channel) * tokens + n] - mean) / std::sqrt(variance + spec.eps);
      CHECK(y[(c + channel) * tokens + 16] == doctest::Approx(mixed).epsilon(1e-5));
    }
  }
}

TEST_CASE("what has no attention map, and then leaves the old one") {
  const Spec spec{.channels = 4, .groups = 2, .heads = 2};
  const Shape shape{2, 3, 5};
  const BlockWeights weights = random_weights(spec, 3);
  std::mt19937_64 engine = random_engine(3);
  const std::vector<float> x = normal_values(engine, 2 * 4 * 15);
  std::vector<double> map(1, 42);
  const auto attend = [&](const BlockWeights& of, const std::vector<float>& values, const AttentionQuery& query,
                          Layout layout = Layout::kNchw) {
    return io::attention_map(of, shape, layout, values, query, map);
  };
  const StatusCode kInvalid = StatusCode::kInvalidArgument;
  CHECK_FAILS(attend(weights, x, {.image = 2}), kInvalid, "image 2: expected one of the 2 images");
  CHECK_FAILS(attend(weights, x, {.row = 3}), kInvalid, "row 3: expected one of the 3 rows");
  CHECK_FAILS(attend(weights, x, {.column = 5}), kInvalid, "column 5: expected one of the 5 columns");
  CHECK_FAILS(attend(weights, {x.begin(), x.end() - 1}, {}), kInvalid, "x: expected as many values as its shape has, given 119");
  const Shape too_large{std::numeric_limits<std::size_t>::max() / 4 + 1, 4, 1};
  CHECK_FAILS(io::attention_map(weights, too_large, Layout::kNchw, {}, {}, map), kInvalid, "x: expected as many values");

  std::vector<float> bad = x;
  bad[60 + 2 * 15 + 1 * 5 + 4] = std::numeric_limits<float>::quiet_NaN();
  CHECK_FAILS(attend(weights, bad, {.image = 1}), kInvalid, "not finite at channel 2, row 1, column 4");
  bad = x;
  bad[60 + 9 * 4 + 2] = std::numeric_limits<float>::infinity();
  CHECK_FAILS(attend(weights, bad, {.image = 1}, Layout::kNhwc), kInvalid, "not finite at channel 2, row 1, column 4");
  CHECK(map == std::vector<double>(1, 42));
  REQUIRE_OK(attend(weights, bad, {.image = 0}, Layout::kNhwc));
  CHECK(map.size() == 2 * 15);

  const auto with = [&](auto change) {
    BlockWeights changed = weights;
    change(changed);
    map.assign(1, 42);
    const Status status = attend(changed, x, {});
    CHECK(map == std::vector<double>(1, 42));
    return status;
  };
  CHECK_FAILS(with([](BlockWeights& w) { w.spec.channels = 0; }), kInvalid, "channels: expected at least 1");
  CHECK_FAILS(with([](BlockWeights& w) { w.spec.heads = 3; }), kInvalid, "heads: expected a divisor of the 4 channels, given 3");
  CHECK_FAILS(with([](BlockWeights& w) { w.spec.heads = 0; }), kInvalid, "heads");
  CHECK_FAILS(with([](BlockWeights& w) { w.spec.groups = 3; }), kInvalid, "groups: expected a divisor of the 4 channels, given 3");
  CHECK_FAILS(with([](BlockWeights& w) { w.qkv_weight.pop_back(); }), kInvalid, "to_qkv.weight: expected 12 x 4 values, given 47");
  CHECK_FAILS(with([](BlockWeights& w) { w.qkv_weight.clear(); }), kInvalid, "to_qkv.weight");
  CHECK_FAILS(with([](BlockWeights& w) { w.qkv_bias.pop_back(); }), kInvalid, "to_qkv.bias: expected 3 x 4 values, given 11");
  CHECK_FAILS(with([](BlockWeights& w) { w.norm_bias.clear(); }), kInvalid, "norm.bias");
  CHECK_FAILS(with([](BlockWeights& w) { w.spec.norm = Norm::kBatch; }), kInvalid, "norm.running_mean");
  CHECK_FAILS(with([](BlockWeights& w) { w.score_weight.assign(16, 0); }), kInvalid, "folded weights have one head");

  BlockWeights overflowing = random_weights({.channels = 4, .norm = Norm::kBatch, .eps = 1e-300}, 4);
  overflowing.running_var.assign(4, 0);
  overflowing.running_mean.assign(4, 1e38f);
  map.assign(1, 42);
  CHECK_FAILS(attend(overflowing, x, {}), kInvalid, "scores overflow");
  CHECK(map == std::vector<double>(1, 42));
}

}  // namespace
}  // namespace edgeattn::test
