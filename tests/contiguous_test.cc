#include <algorithm>
#include <array>
#include <complex>
#include <cstdint>
#include <cstring>

#include "harness.h"
#include "tensors.h"

namespace edgeattn::test {
namespace {

/// A tensor of random sizes, its dims in random order, with gaps or repeated elements between them.
TensorLayout random_layout(std::mt19937_64& engine) {
  const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(engine() % limit); };
  Sizes sizes(below(6));
  for (std::size_t& size : sizes) size = sizes.size() < 3 ? 1 + below(40) : 1 + below(7);
  Sizes order(sizes.size()), strides(sizes.size());
  for (std::size_t d = 0; d < order.size(); ++d) order[d] = d;
  std::shuffle(order.begin(), order.end(), engine);
  std::size_t next = below(4) == 0 ? 2 : 1;
  for (std::size_t d : order) {
    strides[d] = below(12) == 0 ? 0 : next;
    next = next * sizes[d] + (below(3) == 0 ? below(3) : 0);
  }
  TensorLayout layout;
  REQUIRE_OK(lay_out(sizes, strides, layout));
  return layout;
}

/// Values of a type, each with bytes of its own.
template <class T>
std::vector<T> marked(std::size_t count) {
  std::vector<T> values(count);
  auto* const bytes = reinterpret_cast<unsigned char*>(values.data());
  for (std::size_t i = 0; i < count * sizeof(T); ++i) bytes[i] = static_cast<unsigned char>(i * 0x9E3779B97F4A7C15u >> 40);
  return values;
}

template <class T>
void check_copies(std::uint64_t stream) {
  CAPTURE(sizeof(T));
  std::mt19937_64 engine = random_engine(stream);
  constexpr std::size_t kMargin = 3;
  for (int i = 0; i < 200; ++i) {
    const TensorLayout layout = random_layout(engine);
    const std::vector<T> memory = marked<T>(layout.extent());
    std::vector<T> buffer(layout.elements() + 2 * kMargin), expected(buffer.size());
    std::size_t at = kMargin;
    for_each_place(layout, [&](std::size_t place) { std::memcpy(&expected[at++], &memory[place], sizeof(T)); });
    TensorView<T> copy;
    const TensorView<const T> tensor(memory.data(), layout);
    REQUIRE_OK(contiguous(tensor, {buffer.data() + kMargin, layout.elements()}, copy, isa()));
    CHECK(std::memcmp(buffer.data(), expected.data(), buffer.size() * sizeof(T)) == 0);
    CHECK(is_contiguous(copy));
    CHECK(copy.data() == buffer.data() + kMargin);
    CHECK(sizes_of(copy) == sizes_of(tensor));
  }
}

TEST_CASE("contiguous copies elements of any size in the order of their indices") {
  check_copies<float>(51);
  check_copies<std::uint8_t>(52);
  check_copies<std::int16_t>(53);
  check_copies<std::uint32_t>(54);
  check_copies<double>(55);
  check_copies<std::complex<double>>(56);
  check_copies<std::array<std::uint8_t, 3>>(57);
}

TEST_CASE("elements of 4 bytes need no alignment of 4") {
  using Element = std::array<unsigned char, 4>;
  constexpr std::size_t kRows = 19, kColumns = 21, kCount = kRows * kColumns;
  const std::vector<unsigned char> memory = marked<unsigned char>(sizeof(Element) * kCount + 1);
  std::vector<unsigned char> buffer(memory.size());
  TensorView<const Element> tensor;
  TensorView<Element> copy;
  REQUIRE_OK(wrap({reinterpret_cast<const Element*>(&memory[1]), kCount}, {kRows, kColumns}, tensor));
  REQUIRE_OK(transpose(tensor, 0, 1, tensor));
  REQUIRE_OK(contiguous(tensor, {reinterpret_cast<Element*>(&buffer[1]), kCount}, copy, isa()));
  CHECK(elements_of(copy) == elements_of(tensor));
}

TEST_CASE("from NCHW to NHWC and back") {
  constexpr std::size_t kBatch = 2, kChannels = 37, kHeight = 20, kWidth = 33;
  std::mt19937_64 engine = random_engine(59);
  const std::vector<float> values = normal_values(engine, kBatch * kChannels * kHeight * kWidth);
  std::vector<float> there(values.size()), back(values.size());
  TensorView<const float> x;
  TensorView<float> y;
  REQUIRE_OK(wrap(values, {kBatch, kChannels, kHeight, kWidth}, x));
  REQUIRE_OK(permute(x, {0, 2, 3, 1}, x));
  REQUIRE_OK(contiguous(x, there, y, isa()));
  CHECK(y(1, 19, 32, 36) == x(1, 19, 32, 36));
  CHECK(there[kChannels + 2] == values[2 * kHeight * kWidth + 1]);
  REQUIRE_OK(permute(y, {0, 3, 1, 2}, y));
  REQUIRE_OK(contiguous(y, back, y, isa()));
  CHECK(same_bits(values, back));
}

TEST_CASE("contiguous refuses an instruction set that is not there") {
  const Machine machine = detect_machine();
  float x = 1, y = 0;
  TensorView<float> tensor;
  REQUIRE_OK(wrap({&x, 1}, {}, tensor));
  for (Isa absent : {Isa::kAvx2, Isa::kAvx512, Isa::kNeon})
    if (!machine.has(absent))
      CHECK_FAILS(contiguous(tensor, {&y, 1}, tensor, absent), StatusCode::kUnsupported, to_string(absent));
}

}  // namespace
}  // namespace edgeattn::test
