#include <algorithm>

#include "gemm/layout.h"
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

}  // namespace
}  // namespace edgeattn::test
