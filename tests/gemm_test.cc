#include <algorithm>
#include <string_view>

#include "gemm/layout.h"
#include "gemm/operator.h"
#include "harness.h"

namespace edgeattn::test {
namespace {

/// An index matrix packed the way `layout` says.
std::vector<std::uint32_t> pack_marks(const PanelLayout& layout) {
  std::vector<std::uint32_t> packed(layout.size());
  for (std::size_t output = 0; output < layout.outputs; ++output) {
    packed[layout.bias_offset(output)] = bias_mark(output);
    for (std::size_t input = 0; input < layout.inputs; ++input)
      packed[layout.offset(input, output)] = element_mark(input, output, layout.outputs);
  }
  return packed;
}

const PanelLayout kLayouts[] = {
    {.inputs = 5, .outputs = 7, .nr = 8, .kr = 1, .sr = 1},    {.inputs = 64, .outputs = 40, .nr = 16, .kr = 1, .sr = 1},
    {.inputs = 33, .outputs = 100, .nr = 32, .kr = 1, .sr = 1}, {.inputs = 13, .outputs = 17, .nr = 8, .kr = 1, .sr = 4},
    {.inputs = 10, .outputs = 5, .nr = 2, .kr = 4, .sr = 1},   {.inputs = 27, .outputs = 9, .nr = 4, .kr = 2, .sr = 4},
    {.inputs = 1, .outputs = 1, .nr = 16, .kr = 1, .sr = 1},   {.inputs = 1, .outputs = 1, .nr = 16, .kr = 1, .sr = 4},
    {.inputs = 1, .outputs = 2, .nr = 2, .kr = 4, .sr = 1},
};

TEST_CASE("a layout is found from where the elements landed") {
  for (const PanelLayout& layout : kLayouts) {
    PanelLayout found;
    const std::vector<std::uint32_t> packed = pack_marks(layout);
    REQUIRE_OK(explain_layout(packed, layout.inputs, layout.outputs, found));
    // Several closed forms may explain a small operand: all write the same, and the whole of it.
    const std::vector<std::uint32_t> again = pack_marks(found);
    REQUIRE(again.size() >= packed.size());
    CHECK(std::equal(packed.begin(), packed.end(), again.begin()));
  }
}

TEST_CASE("columns past the last output may repeat it") {
  // 1 to 1 and 4 to 3 as XNNPACK of 2024 packs them on x86, rounded up to 64 bytes.
  std::vector<std::uint32_t> one(16), three(32);
  one[0] = bias_mark(0);
  one[2] = one[6] = element_mark(0, 0, 1);
  PanelLayout found;
  REQUIRE_OK(explain_layout(one, 1, 1, found));
  CHECK(found.nr == 2);
  CHECK(found.size() == 10);

  const PanelLayout pairs{.inputs = 4, .outputs = 3, .nr = 2, .kr = 4, .sr = 1};
  const std::vector<std::uint32_t> marks = pack_marks(pairs);
  std::copy(marks.begin(), marks.end(), three.begin());
  for (std::size_t input = 0; input < 4; ++input) three[pairs.offset(input, 3)] = element_mark(input, 2, 3);
  REQUIRE_OK(explain_layout(three, 4, 3, found));
  CHECK(found == pairs);
  three[pairs.offset(0, 3)] = element_mark(0, 1, 3);
  CHECK_FAILS(explain_layout(three, 4, 3, found), StatusCode::kGemm, "layout");
}

TEST_CASE("a layout that no closed form explains in full is refused") {
  for (const PanelLayout& layout : kLayouts) {
    const std::vector<std::uint32_t> good = pack_marks(layout);
    PanelLayout found;
    std::vector<std::uint32_t> swapped = good;
    if (layout.inputs > 2 && layout.outputs > 1) {
      std::swap(swapped[layout.offset(0, 0)], swapped[layout.offset(1, 1)]);
      CHECK_FAILS(explain_layout(swapped, layout.inputs, layout.outputs, found), StatusCode::kGemm, "layout");
    }
    std::vector<std::uint32_t> no_bias = good;
    no_bias[layout.bias_offset(0)] = 0;
    CHECK_FAILS(explain_layout(no_bias, layout.inputs, layout.outputs, found), StatusCode::kGemm, "layout");
    std::vector<std::uint32_t> littered = good;
    littered.push_back(5);
    CHECK_FAILS(explain_layout(littered, layout.inputs, layout.outputs, found), StatusCode::kGemm, "layout");
    std::vector<std::uint32_t> padded(good.size() + 16 * layout.nr * layout.kr * layout.sr);
    std::copy(good.begin(), good.end(), padded.begin());
    CHECK_FAILS(explain_layout(padded, 2 * layout.inputs + 1, layout.outputs, found), StatusCode::kGemm, "layout");
    std::vector<std::uint32_t> cut(good.begin(), good.end() - 1);
    CHECK_FAILS(explain_layout(cut, layout.inputs, layout.outputs, found), StatusCode::kGemm, "layout");
  }
}

TEST_CASE("XNNPACK's operators multiply with the operand they are given, wherever it is packed") {
  constexpr std::pair<std::size_t, std::size_t> kShapes[] = {{1, 1}, {3, 2}, {16, 16}, {40, 31}, {33, 65}, {128, 200}};
  for (const std::pair<std::size_t, std::size_t>& inputs_outputs : kShapes) {
    const std::size_t k = inputs_outputs.first, n = inputs_outputs.second;
    CAPTURE(k);
    CAPTURE(n);
    PanelLayout layout;
    REQUIRE_OK(gemm().probe(k, n, layout));
    AlignedBytes object(gemm().operator_bytes), work(layout.size() * sizeof(float));
    Operator op;
    const OperatorShape shape{.inputs = k, .outputs = n, .input_stride = k + 3, .output_stride = n + 5};
    REQUIRE_OK(create_operator(shape, gemm().operand_offset, {object.data(), object.size()}, {work.data(), work.size()}, op));
    CHECK(op.object >= object.data());
    CHECK(op.object < object.data() + object.size());
    std::mt19937_64 engine = random_engine(k * 1000 + n);
    for (int which = 0; which < 3; ++which) {
      AlignedBytes operand(layout.size() * sizeof(float));
      const std::vector<float> weight = normal_values(engine, k * n), bias = normal_values(engine, n);
      for (std::size_t o = 0; o < n; ++o) {
        operand.floats()[layout.bias_offset(o)] = bias[o];
        for (std::size_t i = 0; i < k; ++i) operand.floats()[layout.offset(i, o)] = weight[o * k + i];
      }
      for (const std::size_t rows : {1u, 2u, 7u, 19u}) {
        const std::vector<float> input = normal_values(engine, rows * (k + 3) + 8);
        std::vector<float> output(rows * (n + 5), 9.0f);
        REQUIRE(run_operator(op, operand.floats(), rows, input.data(), output.data()));
        for (std::size_t r = 0; r < rows; ++r) {
          for (std::size_t o = 0; o < n; ++o) {
            double expected = bias[o], magnitude = std::abs(expected);
            for (std::size_t i = 0; i < k; ++i) {
              const double product = double{input[r * (k + 3) + i]} * weight[o * k + i];
              expected += product;
              magnitude += std::abs(product);
            }
            CHECK(std::abs(output[r * (n + 5) + o] - expected) <= static_cast<double>(k + 1) * 0x1p-24 * magnitude);
          }
          for (std::size_t o = n; o < n + 5 && r + 1 < rows; ++o) CHECK(output[r * (n + 5) + o] == 9.0f);
        }
      }
    }
  }
}

TEST_CASE("an operator that does not fit its memory is refused") {
  AlignedBytes object(gemm().operator_bytes), work(64 * 1024);
  Operator op;
  const OperatorShape shape{.inputs = 16, .outputs = 16, .input_stride = 16, .output_stride = 16};
  const std::span<std::byte> short_object(object.data(), object.size() - 64);
  CHECK_FAILS(create_operator(shape, gemm().operand_offset, short_object, {}, op), StatusCode::kGemm, "XNNPACK");
  if (gemm().packs_at_creation)
    CHECK_FAILS(create_operator(shape, gemm().operand_offset, {object.data(), object.size()}, {work.data(), 256}, op), StatusCode::kGemm,
                "XNNPACK");
  REQUIRE_OK(create_operator(shape, gemm().operand_offset, {object.data(), object.size()}, {work.data(), work.size()}, op));
}

}  // namespace
}  // namespace edgeattn::test
