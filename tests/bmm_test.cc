#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "harness.h"
#include "kernel_checker.h"
#include "tensors.h"

namespace edgeattn::test {
namespace {

/// A product with memory of its own.
class TestBmm {
 public:
  explicit TestBmm(const BmmShape& shape) {
    REQUIRE_OK(edgeattn::plan(shape, gemm(), plan, isa()));
    persistent_ = std::make_unique<AlignedBytes>(plan.persistent_bytes);
    scratch_ = std::make_unique<AlignedBytes>(plan.scratch_bytes);
    REQUIRE_OK(edgeattn::bind(plan, persistent(), scratch(), product));
  }

  std::span<std::byte> persistent() const { return {persistent_->data(), persistent_->size()}; }
  std::span<std::byte> scratch() const { return {scratch_->data(), scratch_->size()}; }
  /// Fills scratch with NaNs, so that nothing can rely on what it held.
  void poison_scratch() const { std::fill_n(scratch_->data(), scratch_->size(), std::byte{0xFF}); }

  BmmPlan plan;
  Bmm product;

 private:
  std::unique_ptr<AlignedBytes> persistent_, scratch_;
};

/// How the elements of [batch, rows, columns] stand in memory.
enum class Order { kRows, kColumns, kGaps, kRepeated };
constexpr Order kOrders[] = {Order::kRows, Order::kColumns, Order::kGaps, Order::kRepeated};

TensorLayout layout_of(const Sizes& sizes, Order order) {
  const std::size_t rows = sizes[1], columns = sizes[2];
  Sizes strides = {rows * columns, columns, 1};
  if (order == Order::kColumns) strides = {rows * columns + 2, 1, rows};
  if (order == Order::kGaps) strides = {(rows + 1) * (3 * columns + 1), 3 * columns + 1, 3};
  if (order == Order::kRepeated) strides[0] = 0;
  TensorLayout layout;
  REQUIRE_OK(lay_out(sizes, strides, layout));
  return layout;
}

/// Normal numbers; not a byte behind the last of them can be read.
std::unique_ptr<Buffer> numbers(const TensorLayout& layout, std::mt19937_64& engine) {
  auto buffer = std::make_unique<Buffer>(layout.extent());
  const std::vector<float> values = normal_values(engine, buffer->size());
  for (std::size_t i = 0; i < values.size(); ++i) (*buffer)[i] = values[i];
  return buffer;
}

void check_product(const TensorView<const float>& a, const TensorView<const float>& b, const TensorView<float>& out) {
  for (std::size_t n = 0; n < out.size(0); ++n) {
    for (std::size_t i = 0; i < out.size(1); ++i) {
      for (std::size_t j = 0; j < out.size(2); ++j) {
        double expected = 0, magnitude = 0;
        for (std::size_t k = 0; k < a.size(2); ++k) {
          const double product = double{a(n, i, k)} * double{b(n, k, j)};
          expected += product;
          magnitude += std::abs(product);
        }
        CHECK(std::abs(double{out(n, i, j)} - expected) <= static_cast<double>(a.size(2) + 1) * 0x1p-24 * magnitude);
      }
    }
  }
}

TEST_CASE("bmm multiplies matrices of any sizes and strides") {
  std::mt19937_64 engine = random_engine(71);
  constexpr BmmShape kShapes[] = {{1, 1, 1},   {2, 3, 4},    {5, 1, 2},    {1, 7, 40},   {3, 2, 33},
                                  {7, 64, 16}, {64, 33, 64}, {253, 5, 31}, {300, 16, 8}, {19, 130, 70}};
  for (const BmmShape& shape : kShapes) {
    TestBmm test(shape);
    for (Order a_order : kOrders) {
      for (Order b_order : kOrders) {
        const auto batch = static_cast<std::size_t>(1 + engine() % 3);
        CAPTURE(shape.rows);
        CAPTURE(shape.inner);
        CAPTURE(shape.columns);
        const TensorLayout a_layout = layout_of({batch, shape.rows, shape.inner}, a_order);
        const TensorLayout b_layout = layout_of({batch, shape.inner, shape.columns}, b_order);
        const auto a_memory = numbers(a_layout, engine), b_memory = numbers(b_layout, engine);
        const TensorView<const float> a(a_memory->data(), a_layout), b(b_memory->data(), b_layout);
        Buffer results(batch * shape.rows * shape.columns);
        TensorView<float> out;
        REQUIRE_OK(wrap({results.data(), results.size()}, {batch, shape.rows, shape.columns}, out));
        test.poison_scratch();
        REQUIRE_OK(bmm(a, b, out, test.product));
        check_product(a, b, out);
        CHECK(results.margins_intact());
      }
    }
  }
}

TEST_CASE("bmm writes matrices that are apart, and nothing between them") {
  TestBmm test({.rows = 3, .inner = 4, .columns = 5});
  std::mt19937_64 engine = random_engine(72);
  const std::vector<float> a_values = normal_values(engine, 24), b_values = normal_values(engine, 40);
  std::vector<float> results(15 + 20, 7.0f);
  TensorView<const float> a, b;
  TensorView<float> out;
  REQUIRE_OK(wrap(a_values, {2, 3, 4}, a));
  REQUIRE_OK(wrap(b_values, {2, 4, 5}, b));
  REQUIRE_OK(wrap(results, {2, 3, 5}, {20, 5, 1}, out));
  REQUIRE_OK(bmm(a, b, out, test.product));
  check_product(a, b, out);
  for (std::size_t i = 15; i < 20; ++i) CHECK(results[i] == 7.0f);
  // A batch of none.
  std::fill(results.begin(), results.end(), 7.0f);
  REQUIRE_OK(narrow(a, 0, 0, 0, a));
  REQUIRE_OK(narrow(b, 0, 0, 0, b));
  REQUIRE_OK(narrow(out, 0, 0, 0, out));
  REQUIRE_OK(bmm(a, b, out, test.product));
  CHECK(std::all_of(results.begin(), results.end(), [](float value) { return value == 7.0f; }));
}

TEST_CASE("what is not finite comes out of bmm as it comes out of a plain sum") {
  std::mt19937_64 engine = random_engine(73);
  for (const BmmShape& shape : {BmmShape{3, 7, 5}, {9, 16, 40}, {5, 6, 1}, {2, 1, 3}}) {
    TestBmm test(shape);
    for (float bad : kNonFinite) {
      for (const bool in_a : {true, false}) {
        for (const bool beside_zeros : {true, false}) {
          for (int attempt = 0; attempt < 4; ++attempt) {
            std::vector<float> a_values = normal_values(engine, shape.rows * shape.inner);
            std::vector<float> b_values = normal_values(engine, shape.inner * shape.columns);
            if (beside_zeros) std::fill_n((in_a ? b_values : a_values).begin(), (in_a ? b_values : a_values).size(), 0.0f);
            std::vector<float>& spoiled = in_a ? a_values : b_values;
            spoiled[attempt == 0 ? spoiled.size() - 1 : static_cast<std::size_t>(engine() % spoiled.size())] = bad;
            std::vector<float> results(shape.rows * shape.columns);
            TensorView<const float> a, b;
            TensorView<float> out;
            REQUIRE_OK(wrap(a_values, {1, shape.rows, shape.inner}, a));
            REQUIRE_OK(wrap(b_values, {1, shape.inner, shape.columns}, b));
            REQUIRE_OK(wrap(results, {1, shape.rows, shape.columns}, out));
            REQUIRE_OK(bmm(a, b, out, test.product));
            for (std::size_t i = 0; i < shape.rows; ++i) {
              for (std::size_t j = 0; j < shape.columns; ++j) {
                float expected = 0;
                for (std::size_t k = 0; k < shape.inner; ++k) expected += a(0, i, k) * b(0, k, j);
                CHECK((std::isfinite(expected) ? std::isfinite(out(0, i, j)) : same(out(0, i, j), expected)));
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("products that share scratch, and repeat, keep their bits") {
  std::mt19937_64 engine = random_engine(74);
  TestBmm first({.rows = 20, .inner = 30, .columns = 17});
  TestBmm second({.rows = 9, .inner = 5, .columns = 40});
  AlignedBytes scratch(std::max(first.plan.scratch_bytes, second.plan.scratch_bytes));
  for (TestBmm* test : {&first, &second})
    REQUIRE_OK(edgeattn::bind(test->plan, test->persistent(), {scratch.data(), scratch.size()}, test->product));
  const auto multiply = [](TestBmm& test, const std::vector<float>& a_values, const std::vector<float>& b_values) {
    const auto& [rows, inner, columns] = test.plan.shape;
    std::vector<float> results(rows * columns);
    TensorView<const float> a, b;
    TensorView<float> out;
    REQUIRE_OK(wrap(a_values, {1, rows, inner}, a));
    REQUIRE_OK(wrap(b_values, {1, inner, columns}, b));
    REQUIRE_OK(wrap(results, {1, rows, columns}, out));
    REQUIRE_OK(bmm(a, b, out, test.product));
    return results;
  };
  const std::vector<float> a = normal_values(engine, 20 * 30), b = normal_values(engine, 30 * 17);
  const std::vector<float> before = multiply(first, a, b);
  multiply(second, normal_values(engine, 9 * 5), normal_values(engine, 5 * 40));
  CHECK(same_bits(before, multiply(first, a, b)));
}

TEST_CASE("what a product refuses") {
  constexpr BmmShape kShape{.rows = 3, .inner = 4, .columns = 5};
  constexpr StatusCode kInvalid = StatusCode::kInvalidArgument;
  constexpr std::size_t kHuge = std::numeric_limits<std::size_t>::max();
  BmmPlan planned;
  CHECK_FAILS(plan(BmmShape{0, 4, 5}, gemm(), planned), kInvalid, "given 0, 4 and 5");
  CHECK_FAILS(plan(BmmShape{3, 0, 5}, gemm(), planned), kInvalid, "given 3, 0 and 5");
  CHECK_FAILS(plan(BmmShape{3, 4, 0}, gemm(), planned), kInvalid, "at least 1, given 3, 4 and 0");
  CHECK_FAILS(plan(kShape, Gemm{}, planned), kInvalid, "gemm_traits");
  CHECK_FAILS(plan(BmmShape{3, kHuge / 2, 5}, gemm(), planned), kInvalid, "too large");
  if (!detect_machine().neon) CHECK_FAILS(plan(kShape, gemm(), planned, Isa::kNeon), StatusCode::kUnsupported, "neon");

  TestBmm test(kShape);
  Bmm product;
  const auto bind_with = [&](std::size_t less_persistent, std::size_t less_scratch, std::size_t shift) {
    AlignedBytes persistent(test.plan.persistent_bytes + 64), scratch(test.plan.scratch_bytes + 64);
    return edgeattn::bind(test.plan, {persistent.data() + shift, test.plan.persistent_bytes - less_persistent},
                          {scratch.data(), test.plan.scratch_bytes - less_scratch}, product);
  };
  CHECK_FAILS(bind_with(1, 0, 0), StatusCode::kTooSmall, "persistent");
  CHECK_FAILS(bind_with(0, 1, 0), StatusCode::kTooSmall, "scratch");
  CHECK_FAILS(bind_with(0, 0, 4), kInvalid, "aligned to 64");
  CHECK_FAILS(edgeattn::bind(BmmPlan{}, test.persistent(), test.scratch(), product), kInvalid, "plan is empty");
  BmmPlan foreign = test.plan;
  foreign.gemm_name = "another";
  CHECK_FAILS(edgeattn::bind(foreign, test.persistent(), test.scratch(), product), StatusCode::kMismatch, "another");

  std::vector<float> values(2 * (12 + 20 + 15) + 1, 0.5f);
  TensorView<float> a, b, out;
  REQUIRE_OK(wrap(std::span(values).first(24), {2, 3, 4}, a));
  REQUIRE_OK(wrap(std::span(values).subspan(24, 40), {2, 4, 5}, b));
  REQUIRE_OK(wrap(std::span(values).subspan(64, 30), {2, 3, 5}, out));
  CHECK_FAILS(bmm(a, b, out, product), kInvalid, "not bound");
  const auto fails = [&](const TensorView<float>& bad_a, const TensorView<float>& bad_b, const TensorView<float>& bad_out,
                         StatusCode code, const char* text) {
    CHECK_FAILS(bmm(bad_a, bad_b, bad_out, test.product), code, text);
  };
  TensorView<float> bad;
  REQUIRE_OK(view(a, {6, 4}, bad));
  fails(bad, b, out, kInvalid, "a must have 3 dims, it has 2");
  REQUIRE_OK(view(b, {2, 2, 2, 5}, bad));
  fails(a, bad, out, kInvalid, "b must have 3 dims, it has 4");
  REQUIRE_OK(transpose(a, 1, 2, bad));
  fails(bad, b, out, StatusCode::kMismatch, "a must be [2, 3, 4], it is [2, 4, 3]");
  REQUIRE_OK(narrow(b, 0, 0, 1, bad));
  fails(a, bad, out, StatusCode::kMismatch, "b must be [2, 4, 5], it is [1, 4, 5]");
  REQUIRE_OK(transpose(out, 1, 2, bad));
  fails(a, b, bad, StatusCode::kMismatch, "out must be [2, 3, 5], it is [2, 5, 3]");
  REQUIRE_OK(wrap(std::span(values).subspan(64, 30), {2, 3, 5}, {15, 1, 3}, bad));
  fails(a, b, bad, kInvalid, "out must be contiguous");
  REQUIRE_OK(wrap(std::span(values).subspan(64, 30), {2, 3, 5}, {0, 5, 1}, bad));
  fails(a, b, bad, kInvalid, "several elements in one place");
  REQUIRE_OK(wrap(std::span(values).first(30), {2, 3, 5}, bad));
  fails(a, b, bad, kInvalid, "a and out overlap");
  REQUIRE_OK(wrap(std::span(values).subspan(63, 30), {2, 3, 5}, bad));
  fails(a, b, bad, kInvalid, "b and out overlap");
  fails(a, b, TensorView<float>(nullptr, out.layout()), kInvalid, "out is null");
  CHECK(std::all_of(values.begin(), values.end(), [](float value) { return value == 0.5f; }));
  REQUIRE_OK(bmm(a, b, out, test.product));
  CHECK(out(1, 2, 4) == 1.0f);
}

}  // namespace
}  // namespace edgeattn::test
