#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "harness.h"
#include "tensors.h"

namespace edgeattn::test {
namespace {

constexpr float kInfinite = std::numeric_limits<float>::infinity();
constexpr float kNoNumber = std::numeric_limits<float>::quiet_NaN();

TEST_CASE("softmax of a worked example") {
  std::array x = {-0.82976f, 0.00058105f, 1.2218f, 0.19645f, 1.2727f, 0.55990f};
  constexpr double kExpected[] = {0.0903, 0.2072, 0.7025, 0.1862, 0.5461, 0.2677};
  std::array<float, 6> y{};
  TensorView<float> tensor, out;
  REQUIRE_OK(wrap(x, {2, 3}, tensor));
  REQUIRE_OK(wrap(y, {2, 3}, out));
  REQUIRE_OK(softmax(tensor, -1, out, isa()));
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::abs(y[i] - kExpected[i]) <= 0.5e-4);
  // The same down the columns of the transposed, and in place.
  REQUIRE_OK(transpose(tensor, 0, 1, tensor));
  REQUIRE_OK(softmax(tensor, 0, tensor, isa()));
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::abs(x[i] - kExpected[i]) <= 0.5e-4);
}

/// The bound of softmax's contract, against float64, for every row.
void check_rows(const TensorView<const float>& x, std::size_t dim, const TensorView<float>& y) {
  const std::size_t count = x.size(dim);
  TensorLayout rows = x.layout(), results = y.layout();
  rows.sizes[dim] = results.sizes[dim] = 1;
  std::vector<std::size_t> places, result_places;
  for_each_place(rows, [&](std::size_t place) { places.push_back(place); });
  for_each_place(results, [&](std::size_t place) { result_places.push_back(place); });
  for (std::size_t row = 0; row < places.size(); ++row) {
    const auto value = [&](std::size_t i) { return double{x.data()[places[row] + i * x.stride(dim)]}; };
    double max = value(0), sum = 0;
    for (std::size_t i = 0; i < count; ++i) max = std::max(max, value(i));
    for (std::size_t i = 0; i < count; ++i) sum += std::exp(value(i) - max);
    for (std::size_t i = 0; i < count; ++i) {
      const double distance = max - value(i), exact = std::exp(-distance) / sum;
      const double bound = (2.25 * distance + 2 * static_cast<double>(count) + 12) * 0x1p-24 * exact + 0x1p-126;
      const double result = double{y.data()[result_places[row] + i * y.stride(dim)]};
      CHECK(std::abs(result - exact) <= bound);
    }
  }
}

TEST_CASE("softmax along any dim, with any strides") {
  std::mt19937_64 engine = random_engine(61);
  for (const Sizes& sizes : {Sizes{7}, {1, 1}, {5, 33}, {70, 6}, {3, 4, 5}, {2, 65, 3, 9}, {1, 130, 1, 17}, {2, 515}}) {
    for (std::size_t dim = 0; dim < sizes.size(); ++dim) {
      for (double deviation : {1.0, 30.0}) {
        for (double mean : {0.0, 1e4}) {
          // Parts of a larger tensor, dense tensors, and dense ones of the reverse order of dims.
          Sizes larger = sizes;
          for (std::size_t& size : larger) size *= 2;
          Sizes reversed(sizes.size(), 1);
          for (std::size_t d = 1; d < sizes.size(); ++d) reversed[d] = reversed[d - 1] * sizes[d - 1];
          TensorLayout layout;
          REQUIRE_OK(lay_out(larger, layout));
          const std::vector<float> values = normal_values(engine, layout.elements(), mean, deviation);
          for (const bool dense_x : {true, false}) {
            for (const bool dense_y : {true, false}) {
              CAPTURE(dim);
              std::vector<float> results(values.size(), 7.0f);
              TensorView<const float> x(values.data(), layout);
              TensorView<float> y(results.data(), layout);
              if (dense_x) REQUIRE_OK(wrap(values, sizes, x));
              if (dense_y) REQUIRE_OK(wrap(results, sizes, y));
              if (dense_x != dense_y) REQUIRE_OK(wrap(values, sizes, reversed, x));
              for (std::size_t d = 0; d < sizes.size(); ++d) {
                REQUIRE_OK(narrow(x, static_cast<std::ptrdiff_t>(d), 0, sizes[d], x));
                REQUIRE_OK(narrow(y, static_cast<std::ptrdiff_t>(d), 0, sizes[d], y));
              }
              REQUIRE_OK(softmax(x, static_cast<std::ptrdiff_t>(dim), y, isa()));
              check_rows(x, dim, y);
              // Nothing between the results is written.
              std::size_t untouched = 0;
              for (float result : results) untouched += result == 7.0f ? 1 : 0;
              CHECK(untouched == results.size() - y.elements());
            }
          }
        }
      }
    }
  }
}

TEST_CASE("softmax in place has the bits of softmax elsewhere") {
  std::mt19937_64 engine = random_engine(62);
  std::vector<float> x = normal_values(engine, 6 * 70 * 5), y(x.size());
  for (std::ptrdiff_t dim : {0, 1, 2}) {
    std::vector<float> z = x;
    TensorView<float> tensor, out, same;
    REQUIRE_OK(wrap(x, {6, 70, 5}, tensor));
    REQUIRE_OK(wrap(y, {6, 70, 5}, out));
    REQUIRE_OK(wrap(z, {6, 70, 5}, same));
    REQUIRE_OK(softmax(tensor, dim, out, isa()));
    REQUIRE_OK(softmax(same, dim, same, isa()));
    CHECK(same_bits(y, z));
  }
}

TEST_CASE("softmax of values that are not finite, and of extreme ones") {
  constexpr float kLargest = std::numeric_limits<float>::max();
  struct Row {
    std::array<float, 4> x;
    std::array<float, 4> y;
  };
  const Row rows[] = {
      {{0, -kInfinite, 0, -kInfinite}, {0.5f, 0, 0.5f, 0}},
      {{-kInfinite, -kInfinite, -kInfinite, 3}, {0, 0, 0, 1}},
      {{-kInfinite, -kInfinite, -kInfinite, -kInfinite}, {kNoNumber, kNoNumber, kNoNumber, kNoNumber}},
      {{1, kInfinite, 2, 3}, {kNoNumber, kNoNumber, kNoNumber, kNoNumber}},
      {{1, 2, kNoNumber, 3}, {kNoNumber, kNoNumber, kNoNumber, kNoNumber}},
      {{kNoNumber, kNoNumber, kNoNumber, kNoNumber}, {kNoNumber, kNoNumber, kNoNumber, kNoNumber}},
      {{-kLargest, kLargest, 0, kLargest}, {0, 0.5f, 0, 0.5f}},
      {{-kLargest, -kLargest, -kLargest, -kLargest}, {0.25f, 0.25f, 0.25f, 0.25f}},
  };
  for (const Row& row : rows) {
    for (const bool down : {false, true}) {
      // Two rows beside each other, the other one of zeros, or two columns.
      std::array<float, 8> x{}, y{};
      TensorView<float> tensor, out;
      REQUIRE_OK(wrap(x, {2, 4}, tensor));
      REQUIRE_OK(wrap(y, {2, 4}, out));
      if (down) {
        REQUIRE_OK(view(tensor, {4, 2}, tensor));
        REQUIRE_OK(view(out, {4, 2}, out));
        REQUIRE_OK(transpose(tensor, 0, 1, tensor));
        REQUIRE_OK(transpose(out, 0, 1, out));
      }
      for (std::size_t i = 0; i < 4; ++i) tensor(0, i) = row.x[i];
      REQUIRE_OK(softmax(tensor, 1, out, isa()));
      for (std::size_t i = 0; i < 4; ++i) {
        CHECK((out(0, i) == row.y[i] || (std::isnan(out(0, i)) && std::isnan(row.y[i]))));
        CHECK(out(1, i) == 0.25f);
      }
    }
  }
}

TEST_CASE("what softmax refuses") {
  std::array<float, 24> x{};
  TensorView<float> tensor, out;
  REQUIRE_OK(wrap(x, {3, 4}, tensor));
  const auto fails = [&](std::ptrdiff_t dim, const char* text) {
    CHECK_FAILS(softmax(tensor, dim, out, isa()), StatusCode::kInvalidArgument, text);
  };
  REQUIRE_OK(wrap({&x[12], 12}, {3, 4}, out));
  fails(2, "dim 2 is out of range");
  fails(-3, "dim -3 is out of range");
  REQUIRE_OK(wrap({&x[12], 12}, {4, 3}, out));
  fails(0, "other sizes");
  REQUIRE_OK(wrap({&x[12], 12}, {12}, out));
  fails(0, "other sizes");
  REQUIRE_OK(wrap({&x[11], 12}, {3, 4}, out));
  fails(0, "overlap");
  REQUIRE_OK(wrap(x, {3, 4}, {1, 3}, out));
  fails(0, "overlap");
  REQUIRE_OK(wrap({&x[12], 12}, {3, 4}, {0, 1}, out));
  fails(0, "several elements in one place");
  REQUIRE_OK(wrap({&x[12], 12}, {3, 4}, {2, 1}, out));
  fails(0, "several elements in one place");
  out = TensorView<float>(nullptr, tensor.layout());
  fails(0, "out is null");
  CHECK(std::all_of(x.begin(), x.end(), [](float value) { return value == 0; }));
}

}  // namespace
}  // namespace edgeattn::test
