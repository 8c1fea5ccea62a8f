#include "edgeattn/tensor.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <numeric>

#include "harness.h"
#include "tensors.h"

namespace edgeattn::test {
namespace {

constexpr std::size_t kHuge = std::numeric_limits<std::size_t>::max();

/// 1, 2, 3, … as a tensor of these sizes.
class Counting {
 public:
  explicit Counting(const Dims& sizes) {
    TensorLayout layout;
    REQUIRE_OK(lay_out(sizes, layout));
    values_.resize(layout.elements());
    std::iota(values_.begin(), values_.end(), 1);
    REQUIRE_OK(wrap(values_, sizes, view));
  }

  TensorView<int> view;

 private:
  std::vector<int> values_;
};

TEST_CASE("permute") {
  const Counting x({1, 2, 3, 4});
  TensorView<int> permuted, swapped;
  REQUIRE_OK(permute(x.view, {3, 2, 0, 1}, permuted));
  CHECK(sizes_of(permuted) == Sizes{4, 3, 1, 2});
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t j = 0; j < 3; ++j)
      for (std::size_t k = 0; k < 2; ++k) CHECK(permuted(i, j, 0, k) == x.view(0, k, j, i));

  // The same, two dims at a time.
  REQUIRE_OK(transpose(x.view, 0, 3, swapped));     // 3 1 2 0
  REQUIRE_OK(transpose(swapped, 1, 2, swapped));    // 3 2 1 0
  REQUIRE_OK(transpose(swapped, -1, -2, swapped));  // 3 2 0 1
  CHECK(swapped.data() == permuted.data());
  CHECK(swapped.layout() == permuted.layout());
}

TEST_CASE("view cuts elements in their order") {
  const Counting y({1, 2, 3});
  TensorView<int> viewed;
  REQUIRE_OK(view(y.view, {1, 3, 2}, viewed));
  CHECK(sizes_of(viewed) == Sizes{1, 3, 2});
  CHECK(elements_of(viewed) == std::vector<int>{1, 2, 3, 4, 5, 6});
  CHECK(viewed(0, 1, 0) == 3);
  REQUIRE_OK(view(y.view, {-1}, viewed));
  CHECK(sizes_of(viewed) == Sizes{6});
  REQUIRE_OK(view(y.view, {3, -1, 1, 2}, viewed));
  CHECK(sizes_of(viewed) == Sizes{3, 1, 1, 2});
}

TEST_CASE("a permuted tensor can be viewed where strides allow it, and after contiguous always") {
  const Counting y({1, 2, 3});
  TensorView<int> permuted, viewed, copy;
  REQUIRE_OK(permute(y.view, {2, 0, 1}, permuted));
  CHECK(sizes_of(permuted) == Sizes{3, 1, 2});
  CHECK(elements_of(permuted) == std::vector<int>{1, 4, 2, 5, 3, 6});
  CHECK(is_contiguous(y.view));
  CHECK_FALSE(is_contiguous(permuted));

  REQUIRE_OK(view(permuted, {1, 3, 2}, viewed));
  CHECK(viewed.data() == y.view.data());
  CHECK(sizes_of(viewed) == Sizes{1, 3, 2});
  CHECK(elements_of(viewed) == std::vector<int>{1, 4, 2, 5, 3, 6});
  CHECK_FAILS(view(permuted, {2, 3}, viewed), StatusCode::kInvalidArgument, "contiguous");

  std::array<int, 6> buffer{};
  REQUIRE_OK(contiguous(permuted, buffer, copy));
  CHECK(is_contiguous(copy));
  CHECK(copy.data() == buffer.data());
  REQUIRE_OK(view(copy, {2, 3}, viewed));
  CHECK(buffer == std::array{1, 4, 2, 5, 3, 6});
  CHECK(viewed(0, 1) == 4);
  CHECK(viewed(1, 0) == 5);
}

TEST_CASE("split") {
  const Counting x({2, 7, 3});
  TensorView<int> parts[3];
  REQUIRE_OK(split(x.view, {1, 4, 2}, 1, parts));
  CHECK(sizes_of(parts[1]) == Sizes{2, 4, 3});
  CHECK(parts[0].data() == &x.view(0, 0, 0));
  CHECK(parts[1].data() == &x.view(0, 1, 0));
  CHECK(&parts[2](1, 1, 2) == &x.view(1, 6, 2));
  REQUIRE_OK(split(x.view, 3, -2, parts));
  CHECK(sizes_of(parts[0]) == Sizes{2, 3, 3});
  CHECK(sizes_of(parts[2]) == Sizes{2, 1, 3});
  CHECK(&parts[2](0, 0, 0) == &x.view(0, 6, 0));
  // A list of one size is a list, which must sum.
  CHECK_FAILS(split(x.view, {3}, 1, {parts, 1}), StatusCode::kInvalidArgument, "do not sum to 7");
  REQUIRE_OK(split(x.view, {7}, 1, {parts, 1}));
  CHECK(parts[0].layout() == x.view.layout());
  // The parts may take the place of the whole.
  parts[0] = x.view;
  REQUIRE_OK(split(parts[0], {0, 6, 1}, 1, parts));
  CHECK(parts[0].elements() == 0);
  CHECK(&parts[2](0, 0, 0) == &x.view(0, 6, 0));
}

TEST_CASE("tensors without elements or without dims") {
  TensorView<int> nothing, viewed;
  CHECK(nothing.elements() == 0);
  REQUIRE_OK(wrap({}, {2, 0, 3}, nothing));
  CHECK(is_contiguous(nothing));
  REQUIRE_OK(permute(nothing, {2, 1, 0}, nothing));
  CHECK(sizes_of(nothing) == Sizes{3, 0, 2});
  REQUIRE_OK(view(nothing, {0, 5}, viewed));
  CHECK_FAILS(view(nothing, {0, -1}, viewed), StatusCode::kInvalidArgument, "beside -1");
  REQUIRE_OK(view(nothing, {4, -1}, viewed));
  CHECK(sizes_of(viewed) == Sizes{4, 0});
  TensorView<int> part;
  REQUIRE_OK(split(nothing, 2, 1, {&part, 1}));
  CHECK(sizes_of(part) == Sizes{3, 0, 2});
  REQUIRE_OK(contiguous(nothing, {}, viewed));
  // Where there is nothing, pointers do not move: a null pointer may not.
  REQUIRE_OK(narrow(nothing, 0, 2, 1, part));
  CHECK(part.data() == nullptr);
  int six[6] = {};
  TensorView<int> some;
  REQUIRE_OK(wrap(six, {2, 3}, some));
  REQUIRE_OK(narrow(some, 0, 2, 0, part));
  CHECK(part.data() == six);

  int seven = 7;
  TensorView<int> scalar;
  REQUIRE_OK(wrap({&seven, 1}, {}, scalar));
  CHECK(scalar.elements() == 1);
  CHECK(scalar() == 7);
  REQUIRE_OK(permute(scalar, {}, scalar));
  REQUIRE_OK(view(scalar, {1, 1}, viewed));
  CHECK(viewed(0, 0) == 7);
  REQUIRE_OK(view(viewed, {}, scalar));
  CHECK(scalar.rank() == 0);
  CHECK_FAILS(transpose(scalar, 0, 0, scalar), StatusCode::kInvalidArgument, "0 dims");
  int copied = 0;
  REQUIRE_OK(contiguous(scalar, {&copied, 1}, scalar));
  CHECK(copied == 7);
}

TEST_CASE("what view operations refuse, and then leave alone") {
  const Counting x({2, 3, 4});
  TensorView<int> out = x.view;
  TensorView<int> parts[3] = {x.view, x.view, x.view};
  std::array<int, 24> memory{};
  const std::ptrdiff_t least = std::numeric_limits<std::ptrdiff_t>::min();
  struct Row {
    Status status;
    StatusCode code;
    const char* text;
  };
  constexpr StatusCode kInvalid = StatusCode::kInvalidArgument;
  const Row rows[] = {
      {wrap(memory, {1, 1, 1, 1, 1, 1, 1, 1, 1}, out), kInvalid, "at most 8 dims, given 9"},
      {wrap(memory, {2, -3}, out), kInvalid, "dim 1 is negative"},
      {wrap(memory, {kHuge / 4, 3, 3}, out), kInvalid, "overflows"},
      {wrap(memory, {kHuge, kHuge}, out), kInvalid, "overflows"},
      {wrap(memory, {0, kHuge, kHuge}, out), kInvalid, "overflows"},
      {wrap(memory, {5, 5}, out), StatusCode::kTooSmall, "25 elements required, 24 given"},
      {wrap(memory, {4, 6}, {7, 1}, out), StatusCode::kTooSmall, "27 elements required, 24 given"},
      {wrap(memory, {4, 6}, {6}, out), kInvalid, "2 required, one for each dim, given 1"},
      {wrap(memory, {4, 6}, {6, -1}, out), kInvalid, "stride of dim 1 is negative"},
      {wrap(memory, {4, 6}, {kHuge, 1}, out), kInvalid, "extent"},
      {permute(x.view, {0, 1}, out), kInvalid, "3 dims required, given 2"},
      {permute(x.view, {0, 1, 2, 0, 1, 2, 0, 1, 2}, out), kInvalid, "3 dims required, given 9"},
      {permute(x.view, {0, 1, 3}, out), kInvalid, "dim 3 is out of range"},
      {permute(x.view, {0, 1, -4}, out), kInvalid, "dim -4 is out of range"},
      {permute(x.view, {0, 1, 1}, out), kInvalid, "dim 1 is repeated"},
      {permute(x.view, {0, 2, -1}, out), kInvalid, "dim 2 is repeated"},
      {transpose(x.view, 0, 3, out), kInvalid, "dim 3 is out of range"},
      {transpose(x.view, -4, 0, out), kInvalid, "dim -4 is out of range"},
      {transpose(x.view, least, 0, out), kInvalid, "out of range"},
      {narrow(x.view, 1, 2, 2, out), kInvalid, "2 from 2 on is out of range: dim 1 has size 3"},
      {narrow(x.view, 1, 4, kHuge, out), kInvalid, "out of range"},
      {split(x.view, {1, 1}, 1, {parts, 2}), kInvalid, "do not sum to 3"},
      {split(x.view, {1, 3}, 1, {parts, 2}), kInvalid, "do not sum to 3"},
      {split(x.view, {4, -1}, 1, {parts, 2}), kInvalid, "do not sum to 3"},
      {split(x.view, {kHuge, kHuge, 5}, 1, parts), kInvalid, "do not sum to 3"},
      {split(x.view, {1, 2}, 3, {parts, 2}), kInvalid, "dim 3 is out of range"},
      {split(x.view, {1, 2}, 1, parts), kInvalid, "there are 2 parts, and room for 3"},
      {split(x.view, {1, 1, 1, 0, 0, 0, 0, 0, 0}, 1, parts), kInvalid, "at most 8 sizes, given 9"},
      {split(x.view, 2, 1, parts), kInvalid, "there are 2 parts, and room for 3"},
      {split(x.view, 0, 1, parts), kInvalid, "at least 1"},
      {split(x.view, -3, 1, parts), kInvalid, "at least 1"},
      {view(x.view, {-1, 2, -1}, out), kInvalid, "more than one size is -1"},
      {view(x.view, {5, -1}, out), kInvalid, "beside -1 have a product of 5, the tensor has 24 elements"},
      {view(x.view, {4, 5}, out), kInvalid, "product of 20, the tensor has 24 elements"},
      {view(x.view, {24, -2}, out), kInvalid, "dim 1 is negative"},
      {view(x.view, {kHuge, kHuge}, out), kInvalid, "overflows"},
      {view(x.view, {24, 1, 1, 1, 1, 1, 1, 1, 1}, out), kInvalid, "at most 8 dims"},
      {contiguous(x.view, {memory.data(), 23}, out), StatusCode::kTooSmall, "24 elements required, 23 given"},
      {contiguous(x.view, {x.view.data() + 23, 24}, out), kInvalid, "overlap"},
      {contiguous(x.view, {x.view.data(), 24}, out), kInvalid, "overlap"},
      {contiguous(TensorView<int>(nullptr, x.view.layout()), memory, out), kInvalid, "tensor is null"},
  };
  for (const Row& row : rows) CHECK_FAILS(row.status, row.code, row.text);
  CHECK(out.data() == x.view.data());
  CHECK(out.layout() == x.view.layout());
  for (const TensorView<int>& part : parts) CHECK(part.layout() == x.view.layout());
  CHECK(std::all_of(memory.begin(), memory.end(), [](int value) { return value == 0; }));
}

TEST_CASE("sizes of any integer type") {
  const Counting x({2, 3, 4});
  TensorView<int> viewed;
  const std::size_t two = 2;
  const std::uint8_t three = 3;
  REQUIRE_OK(view(x.view, {two, -1, three}, viewed));
  CHECK(sizes_of(viewed) == Sizes{2, 4, 3});
  REQUIRE_OK(view(x.view, std::span<const std::size_t>(Sizes{6, 4}), viewed));
  CHECK(sizes_of(viewed) == Sizes{6, 4});
  // A size that no std::ptrdiff_t holds is not taken for -1.
  CHECK_FAILS(view(x.view, {two, kHuge}, viewed), StatusCode::kInvalidArgument, "overflows");
}

/// All of it at compile time.
constexpr int computed_by_the_compiler() {
  constexpr int kValues[] = {1, 2, 3, 4, 5, 6};
  TensorView<const int> y, parts[3];
  const bool good = wrap(kValues, {1, 2, 3}, y).ok() && permute(y, {2, 0, 1}, y).ok() && view(y, {1, -1, 2}, y).ok() &&
                    transpose(y, 0, 2, y).ok() && split(y, 1, 1, parts).ok() && is_contiguous(y);
  return good ? parts[2](1, 0, 0) : 0;
}
static_assert(computed_by_the_compiler() == 6);

/// The compiler refuses to move a null pointer.
constexpr bool a_part_of_nothing_is_nowhere() {
  TensorView<int> nothing, part, parts[2];
  return wrap({}, {0, 5}, nothing).ok() && narrow(nothing, 1, 2, 3, part).ok() && part.data() == nullptr &&
         split(nothing, {2, 3}, 1, parts).ok() && parts[1].data() == nullptr && parts[1].size(1) == 3;
}
static_assert(a_part_of_nothing_is_nowhere());

static_assert(std::is_convertible_v<TensorView<int>, TensorView<const int>>);
static_assert(!std::is_convertible_v<TensorView<const int>, TensorView<int>>);
static_assert(!std::is_convertible_v<TensorView<int>, TensorView<const float>>);
static_assert(std::is_trivially_copyable_v<TensorView<float>>);
static_assert(std::is_same_v<decltype(std::declval<TensorView<const int>>()(0)), const int&>);

}  // namespace
}  // namespace edgeattn::test
