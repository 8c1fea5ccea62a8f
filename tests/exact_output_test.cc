#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "harness.h"
#include "oracle.h"

/// io::exact_output against the oracle, which sums in index order on one thread and shares no code with it.
namespace edgeattn::test {
namespace {

using io::BlockWeights;
using io::ExactOutput;

constexpr double kLargestRelative = 1e-13;  ///< over the largest |y|
/// A and M are rounded to float32 once.
constexpr double kLargestFoldedError = 1e-6;

ExactOutput exact(const BlockWeights& weights, const Shape& shape, Layout layout, const std::vector<float>& x,
                  pthreadpool_t pool = nullptr) {
  ExactOutput output;
  REQUIRE_OK(io::exact_output(weights, shape, layout, x, pool, output));
  return output;
}

/// The largest difference over the largest |expected|.
double error_of(const std::vector<double>& y, const std::vector<double>& expected) {
  REQUIRE(y.size() == expected.size());
  double error = 0, size = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double difference = std::fabs(y[i] - expected[i]);
    if (!(difference <= error)) error = difference;
    size = std::max(size, std::fabs(expected[i]));
  }
  return error / size;
}

TEST_CASE("exact outputs of all norms, layouts, heads and tails, of weights as trained and folded") {
  struct Row {
    Spec spec;
    Shape shape;
    double mean = 0;  ///< of x, in deviations
  };
  const Row rows[] = {
      {{.channels = 64, .norm = Norm::kGroup, .groups = 32}, {2, 8, 8}},
      {{.channels = 24, .norm = Norm::kGroup, .groups = 4, .heads = 4, .scale = 0.7}, {2, 5, 7}, 100},
      {{.channels = 17, .norm = Norm::kInstance, .eps = 1e-3}, {3, 6, 4}},
      {{.channels = 16, .norm = Norm::kInstance, .heads = 16, .residual = false}, {1, 9, 3}},
      {{.channels = 12, .norm = Norm::kBatch, .rescale_output = 1.5}, {2, 4, 5}, 0.5},
      {{.channels = 20, .norm = Norm::kBatch, .heads = 4, .residual = false, .rescale_output = 0.25}, {1, 1, 11}},
      {{.channels = 10, .norm = Norm::kNone, .scale = 0.3, .residual = false}, {2, 3, 3}},
      {{.channels = 70, .norm = Norm::kNone}, {1, 17, 19}},
      {{.channels = 1, .norm = Norm::kNone}, {1, 1, 1}},
  };
  double worst = 0, worst_folded = 0;
  std::uint64_t stream = 500;
  for (const Row& row : rows) {
    CAPTURE(to_string(row.spec.norm));
    CAPTURE(row.spec.channels);
    const BlockWeights weights = random_weights(row.spec, ++stream);
    std::mt19937_64 engine = random_engine(stream);
    const std::vector<float> x = normal_values(engine, row.shape.batch * row.spec.channels * row.shape.tokens(), row.mean);
    for (const Layout layout : {Layout::kNchw, Layout::kNhwc}) {
      const Reference expected = reference(weights, row.shape, layout, x);
      const ExactOutput output = exact(weights, row.shape, layout, x);
      const double error = error_of(output.y, expected.exact);
      CHECK(error <= kLargestRelative);
      CHECK(output.largest_score == doctest::Approx(expected.largest_score).epsilon(1e-12));
      worst = std::max(worst, error);
      if (row.spec.heads > 1) continue;
      BlockWeights folded;
      REQUIRE_OK(io::fold_block(weights, detect_machine(), folded));
      const double folded_error = error_of(exact(folded, row.shape, layout, x).y, expected.exact);
      CHECK(folded_error <= kLargestFoldedError);
      worst_folded = std::max(worst_folded, folded_error);
    }
  }
  std::printf("exact outputs: largest error %.1e, of folded weights %.1e\n", worst, worst_folded);
}

TEST_CASE("exact outputs do not depend on threads, and missing biases are zeros") {
  const Spec spec{.channels = 40, .groups = 4, .heads = 2};
  const Shape shape{2, 13, 11};
  BlockWeights weights = random_weights(spec, 520);
  std::mt19937_64 engine = random_engine(520);
  const std::vector<float> x = normal_values(engine, shape.batch * spec.channels * shape.tokens());
  const ExactOutput alone = exact(weights, shape, Layout::kNchw, x);
  for (const std::size_t threads : {2u, 3u}) {
    const ExactOutput output = exact(weights, shape, Layout::kNchw, x, make_pool(threads).get());
    CHECK(output.y == alone.y);
    CHECK(output.largest_score == alone.largest_score);
  }
  std::ranges::fill(weights.qkv_bias, 0.0f);
  std::ranges::fill(weights.out_bias, 0.0f);
  const ExactOutput zeros = exact(weights, shape, Layout::kNchw, x);
  CHECK(zeros.y != alone.y);
  weights.qkv_bias.clear();
  weights.out_bias.clear();
  CHECK(exact(weights, shape, Layout::kNchw, x).y == zeros.y);
}

TEST_CASE("scores of folded weights are in natural units") {
  const Spec spec{.channels = 32};
  BlockWeights weights = random_weights(spec, 521), folded;
  weights.qkv_bias.clear();  // without bq and bk nothing is the same for all keys
  REQUIRE_OK(io::fold_block(weights, detect_machine(), folded));
  std::mt19937_64 engine = random_engine(521);
  const std::vector<float> x = normal_values(engine, 32 * 25);
  CHECK(exact(folded, {1, 5, 5}, Layout::kNchw, x).largest_score ==
        doctest::Approx(exact(weights, {1, 5, 5}, Layout::kNchw, x).largest_score).epsilon(1e-5));
}

TEST_CASE("what has no exact output, and then leaves the old one") {
  const Spec spec{.channels = 4, .groups = 2};
  const Shape shape{2, 3, 5};
  const BlockWeights weights = random_weights(spec, 522);
  std::mt19937_64 engine = random_engine(522);
  const std::vector<float> x = normal_values(engine, 2 * 4 * 15);
  ExactOutput output{.y = {42}, .largest_score = 43};
  const auto fails = [&](const BlockWeights& of, const std::vector<float>& values, const char* expected) {
    CHECK_FAILS(io::exact_output(of, shape, Layout::kNhwc, values, nullptr, output), StatusCode::kInvalidArgument, expected);
    CHECK(output.y == std::vector<double>{42});
    CHECK(output.largest_score == 43);
  };
  fails(weights, {x.begin(), x.end() - 1}, "x: expected as many values as its shape has, given 119");
  std::vector<float> bad = x;
  bad[60 + 9 * 4 + 2] = std::numeric_limits<float>::infinity();
  fails(weights, bad, "not finite at channel 2, row 1, column 4 of image 1");

  BlockWeights changed = weights;
  changed.out_weight.pop_back();
  fails(changed, x, "to_out.weight: expected 4 x 4 values, given 15");
  changed = weights;
  changed.out_bias.pop_back();
  fails(changed, x, "to_out.bias: expected 1 x 4 values, given 3");
  changed = weights;
  changed.qkv_weight.clear();
  fails(changed, x, "to_qkv.weight");
  BlockWeights overflowing = random_weights({.channels = 4, .norm = Norm::kBatch, .eps = 1e-300}, 523);
  overflowing.running_var.assign(4, 0);
  overflowing.running_mean.assign(4, 1e38f);
  fails(overflowing, x, "scores of image 0 overflow");
}

}  // namespace
}  // namespace edgeattn::test
