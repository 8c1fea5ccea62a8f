#include <algorithm>
#include <cmath>
#include <limits>

#include "harness.h"

/// A value that is not finite spoils its own image, wholly and alone; what overflows inside a run spoils its own pixel.
namespace edgeattn::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max();

bool all_nan(const float* begin, const float* end) {
  return std::all_of(begin, end, [](float value) { return std::isnan(value); });
}

TEST_CASE("a non-finite value makes its image NaN and leaves the others alone") {
  const Shape shape{3, 5, 7};
  const std::size_t channels = 24, image = channels * shape.tokens();
  for (Norm norm : {Norm::kGroup, Norm::kInstance, Norm::kBatch, Norm::kNone}) {
    for (Layout layout : {Layout::kNchw, Layout::kNhwc}) {
      const Spec spec{.channels = channels, .norm = norm, .groups = 8};
      const io::BlockWeights weights = random_weights(spec, 11);
      std::mt19937_64 engine = random_engine(11);
      const std::vector<float> clean = normal_values(engine, shape.batch * image);
      TestBlock block(weights, shape, {.layout = layout, .threads = 2, .key_block = 32});
      const std::vector<float> expected = block.run(clean);
      // Every residue of the position modulo any vector width, at the start, middle and end of the image.
      std::vector<std::size_t> positions = {image - 1, image - 2, image / 2};
      for (std::size_t i = 0; i < 40; i += sample() ? 3 : 1) positions.push_back(i * (image / 40 + 1) % image);
      for (std::size_t position : positions) {
        for (float value : {kNan, kInf, -kInf}) {
          CAPTURE(to_string(norm));
          CAPTURE(to_string(layout));
          CAPTURE(position);
          std::vector<float> x = clean;
          x[image + position] = value;
          const std::vector<float> y = block.run(x);
          CHECK(all_nan(&y[image], &y[2 * image]));
          CHECK(std::equal(&y[0], &y[image], &expected[0]));
          CHECK(std::equal(&y[2 * image], y.data() + 3 * image, &expected[2 * image]));
          block.run_in_place(x);
          CHECK(all_nan(&x[image], &x[2 * image]));
        }
      }
    }
  }
}

TEST_CASE("an image after a spoilt one in the same scratch is untouched") {
  const Spec spec{.channels = 32};
  const Shape shape{1, 6, 6};
  const io::BlockWeights weights = random_weights(spec, 12);
  std::mt19937_64 engine = random_engine(12);
  const std::vector<float> clean = normal_values(engine, 32 * 36);
  TestBlock block(weights, shape, {});
  const std::vector<float> expected = block.run(clean);
  std::vector<float> spoilt = clean, y(clean.size());
  spoilt[100] = kNan;
  REQUIRE_OK(block.block().run(spoilt.data(), y.data()));
  REQUIRE_OK(block.block().run(clean.data(), y.data()));
  CHECK(same_bits(y, expected));
}

/// Weights and inputs so large that T, S, O or Y overflow: NaN, or right, but never a wrong finite number.
TEST_CASE("overflow inside a run becomes NaN, never a wrong number") {
  struct Row {
    const char* where;
    float qk_scale, v_scale, out_scale;
  };
  const Row rows[] = {
      {"T", 1e18f, 1, 1},          {"S", 3e9f, 1, 1},        {"S, just", 1e9f, 1, 1},
      {"Y", 1, 1e18f, 1e18f},      {"Y by M", 1, 1e15f, 1e20f}, {"nothing", 1, 1, 1},
  };
  for (const Row& row : rows) {
    for (std::size_t key_block : {0u, 32u}) {
      CAPTURE(row.where);
      const Spec spec{.channels = 48, .norm = Norm::kNone};
      const Shape shape{1, 8, 9};
      io::BlockWeights weights = random_weights(spec, 13);
      const std::size_t square = 48 * 48;
      for (std::size_t i = 0; i < 2 * square; ++i) weights.qkv_weight[i] *= row.qk_scale;
      for (std::size_t i = 2 * square; i < 3 * square; ++i) weights.qkv_weight[i] *= row.v_scale;
      for (float& w : weights.out_weight) w *= row.out_scale;
      std::mt19937_64 engine = random_engine(13);
      std::vector<float> x = normal_values(engine, 48 * 72);
      // One pixel far larger than the rest.
      for (std::size_t c = 0; c < 48; ++c) x[c * 72 + 40] *= 1e19f;
      Plan planned;
      REQUIRE_OK(plan(spec, shape, options_under_test({.key_block = key_block}), detect_machine(), gemm(), planned));
      AlignedBytes memory(planned.prepared_bytes);
      Prepared prepared;
      const Status status =
          prepare(spec, weights.view(), detect_machine(), gemm(), {memory.data(), memory.size()}, prepared, format_under_test());
      if (!status.ok()) {  // the folded weights overflow: an error that names them is as good
        CHECK(std::string_view(status.message()).find("weight") != std::string_view::npos);
        continue;
      }
      const std::vector<float> y = TestBlock(weights, shape, {.key_block = key_block}).run(x);
      CHECK(std::none_of(y.begin(), y.end(), [](float value) { return std::isinf(value); }));
      // A pixel is NaN in all channels or in none.
      for (std::size_t n = 0; n < 72; ++n) {
        std::size_t nans = 0;
        for (std::size_t c = 0; c < 48; ++c) nans += std::isnan(y[c * 72 + n]) ? 1 : 0;
        CHECK((nans == 0 || nans == 48));
      }
    }
  }
}

TEST_CASE("the largest finite inputs do not crash") {
  const Spec spec{.channels = 16, .groups = 4};
  const io::BlockWeights weights = random_weights(spec, 14);
  std::vector<float> x(16 * 20, kLargest);
  for (std::size_t i = 0; i < x.size(); i += 3) x[i] = -kLargest;
  const std::vector<float> y = TestBlock(weights, {1, 4, 5}, {}).run(x);
  CHECK(std::none_of(y.begin(), y.end(), [](float value) { return std::isinf(value); }));
}

TEST_CASE("an overflow of T that meets only zeros makes its pixel NaN too") {
  constexpr std::size_t kChannels = 5, kTokens = 6, kPixel = 2;
  io::BlockWeights weights;
  weights.spec = {.channels = kChannels, .norm = Norm::kNone};
  weights.score_weight.assign(kChannels * kChannels, 0.0f);
  weights.score_weight[4 * kChannels] = 3e38f;
  weights.out_weight.assign(kChannels * kChannels, 0.25f);
  std::vector<float> x(kChannels * kTokens, 1.0f);
  std::fill_n(x.begin() + 4 * kTokens, kTokens, 0.0f);
  x[kPixel] = 10;
  if (weights_are_fp16()) {  // which hold no such number
    AlignedBytes memory(4096);
    Prepared prepared;
    CHECK_FAILS(prepare(weights.spec, weights.view(), detect_machine(), gemm(), {memory.data(), memory.size()}, prepared,
                        format_under_test()),
                StatusCode::kInvalidArgument, "overflows fp16");
    return;
  }
  const std::vector<float> y = TestBlock(weights, {1, 2, 3}, {}).run(x);
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i % kTokens == kPixel));
}

}  // namespace
}  // namespace edgeattn::test
