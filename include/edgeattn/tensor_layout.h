#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <ranges>
#include <span>
#include <utility>

#include "edgeattn/status.h"

/// Sizes and strides of tensors, without their elements. All of it works at compile time, where an error does not compile.
namespace edgeattn {

/// Most dims that a tensor has.
inline constexpr std::size_t kMostDims = 8;

/// A short list of whole numbers: the sizes of dims, or dims by their number. Written `{2, 3, -1}`, or made of a span, array or
/// vector, of integers of any type. What a std::ptrdiff_t cannot hold becomes its largest value.
class Dims {
 public:
  template <std::integral... Numbers>
  constexpr Dims(Numbers... numbers) noexcept {  // NOLINT(google-explicit-constructor): stands for a list
    (add(numbers), ...);
  }
  template <std::ranges::input_range Numbers>
    requires std::integral<std::ranges::range_value_t<Numbers>>
  constexpr Dims(const Numbers& numbers) noexcept {  // NOLINT(google-explicit-constructor): the same
    for (auto number : numbers) add(number);
  }

  /// How many there are, which may be more than kMostDims: those past it are not kept, and every call refuses the list.
  [[nodiscard]] constexpr std::size_t count() const noexcept { return count_; }
  [[nodiscard]] constexpr std::ptrdiff_t operator[](std::size_t index) const noexcept { return numbers_[index]; }
  [[nodiscard]] constexpr std::ptrdiff_t& operator[](std::size_t index) noexcept { return numbers_[index]; }

 private:
  template <std::integral Number>
  constexpr void add(Number number) noexcept {
    constexpr std::ptrdiff_t kLargest = std::numeric_limits<std::ptrdiff_t>::max();
    const bool fits = std::in_range<std::ptrdiff_t>(number);
    if (count_ < kMostDims) numbers_[count_] = fits ? static_cast<std::ptrdiff_t>(number) : kLargest;
    ++count_;
  }

  std::size_t count_ = 0;
  std::ptrdiff_t numbers_[kMostDims] = {};
};

/// Where a tensor keeps its elements: [i, j, …] at i·strides[0] + j·strides[1] + … elements from the first. A size may be 0, and
/// so may a stride, which repeats elements. A tensor without dims has one element.
struct TensorLayout {
  std::size_t rank = 0;
  std::size_t sizes[kMostDims] = {};
  std::size_t strides[kMostDims] = {};

  /// Product of the sizes.
  [[nodiscard]] constexpr std::size_t elements() const noexcept {
    std::size_t product = 1;
    for (std::size_t d = 0; d < rank; ++d) product *= sizes[d];
    return product;
  }
  /// Elements of memory from the first to the last, both included.
  [[nodiscard]] constexpr std::size_t extent() const noexcept {
    std::size_t last = 0;
    for (std::size_t d = 0; d < rank; ++d) {
      if (sizes[d] == 0) return 0;
      last += (sizes[d] - 1) * strides[d];
    }
    return last + 1;
  }
  /// Whether the elements stand side by side in the order of their indices. Strides of dims of size 1 do not matter.
  [[nodiscard]] constexpr bool contiguous() const noexcept {
    std::size_t next = 1;
    for (std::size_t d = rank; d-- > 0;) {
      if (sizes[d] == 0) return true;
      if (sizes[d] != 1 && strides[d] != next) return elements() == 0;
      next *= sizes[d];
    }
    return true;
  }

  bool operator==(const TensorLayout&) const noexcept = default;
};

/// Finds the dim that `dim` means: negative ones count from the end.
constexpr Status find_dim(std::size_t rank, std::ptrdiff_t dim, std::size_t& found) noexcept {
  const auto from_end = static_cast<std::size_t>(-(dim + 1)) + 1;
  if (dim >= 0 ? static_cast<std::size_t>(dim) >= rank : from_end > rank)
    return Status::error(StatusCode::kInvalidArgument, "dim ", dim < 0 ? "-" : "",
                         dim < 0 ? from_end : static_cast<std::size_t>(dim), " is out of range: the tensor has ", rank,
                         " dims");
  found = dim >= 0 ? static_cast<std::size_t>(dim) : rank - from_end;
  return {};
}

/// Lays out a tensor of these sizes with its elements side by side, the last dim's next to each other.
///
/// kInvalidArgument: more than kMostDims sizes, a negative one, a product that overflows a std::ptrdiff_t.
constexpr Status lay_out(const Dims& sizes, TensorLayout& layout) noexcept {
  if (sizes.count() > kMostDims)
    return Status::error(StatusCode::kInvalidArgument, "rank: at most ", kMostDims, " dims, given ", sizes.count());
  TensorLayout made{.rank = sizes.count()};
  std::ptrdiff_t elements = 1;  // with sizes of 0 taken for 1, so that no partial product overflows either
  for (std::size_t d = made.rank; d-- > 0;) {
    if (sizes[d] < 0)
      return Status::error(StatusCode::kInvalidArgument, "the size of dim ", d, " is negative");
    made.sizes[d] = static_cast<std::size_t>(sizes[d]);
    made.strides[d] = static_cast<std::size_t>(elements);
    if (sizes[d] != 0 && __builtin_mul_overflow(elements, sizes[d], &elements))
      return Status::error(StatusCode::kInvalidArgument, "the product of the ", made.rank, " sizes overflows");
  }
  layout = made;
  return {};
}

/// The same with strides of one's own, in elements.
///
/// kInvalidArgument also for another number of strides than of sizes, a negative stride, and an extent that overflows.
constexpr Status lay_out(const Dims& sizes, const Dims& strides, TensorLayout& layout) noexcept {
  TensorLayout made;
  EDGEATTN_TRY(lay_out(sizes, made));
  if (strides.count() != made.rank)
    return Status::error(StatusCode::kInvalidArgument, "strides: ", made.rank, " required, one for each dim, given ",
                         strides.count());
  std::ptrdiff_t extent = 1;
  for (std::size_t d = 0; d < made.rank; ++d) {
    if (strides[d] < 0)
      return Status::error(StatusCode::kInvalidArgument, "the stride of dim ", d, " is negative");
    made.strides[d] = static_cast<std::size_t>(strides[d]);
    std::ptrdiff_t reach = 0;
    if (sizes[d] > 1 && (__builtin_mul_overflow(sizes[d] - 1, strides[d], &reach) ||
                         __builtin_add_overflow(extent, reach, &extent)))
      return Status::error(StatusCode::kInvalidArgument, "the extent of the tensor overflows at dim ", d);
  }
  layout = made;
  return {};
}

/// Whether `given` elements hold the `required` ones; kTooSmall names the place.
constexpr Status check_room(const char* place, std::size_t required, std::size_t given) noexcept {
  if (required <= given) return {};
  return Status::error(StatusCode::kTooSmall, place, " is too small: ", required, " elements required, ", given, " given");
}

/// Whether a dim of size `all` can be split into parts of these sizes, or of that size each, of which there are `parts`.
constexpr Status check_split(std::size_t all, const Dims& sizes, std::size_t parts) noexcept {
  if (sizes.count() > kMostDims)
    return Status::error(StatusCode::kInvalidArgument, "split: at most ", kMostDims, " sizes, given ", sizes.count());
  if (parts != sizes.count())
    return Status::error(StatusCode::kInvalidArgument, "split: there are ", sizes.count(), " parts, and room for ", parts);
  std::size_t left = all;
  bool fits = true;
  for (std::size_t i = 0; i < sizes.count() && fits; ++i) {
    fits = sizes[i] >= 0 && static_cast<std::size_t>(sizes[i]) <= left;
    if (fits) left -= static_cast<std::size_t>(sizes[i]);
  }
  if (fits && left == 0) return {};
  return Status::error(StatusCode::kInvalidArgument, "split: the sizes do not sum to ", all, ", the size of the dim");
}
template <std::integral Size>
constexpr Status check_split(std::size_t all, Size size, std::size_t parts) noexcept {
  if (std::cmp_less(size, 1))
    return Status::error(StatusCode::kInvalidArgument, "split: the size of a part must be at least 1");
  const auto each = static_cast<std::size_t>(size);
  const std::size_t count = all <= each ? 1 : (all - 1) / each + 1;
  if (parts != count)
    return Status::error(StatusCode::kInvalidArgument, "split: there are ", count, " parts, and room for ", parts);
  return {};
}

/// Puts dim dims[i] at place i.
///
/// kInvalidArgument: another number of dims than the tensor has, one out of range or given twice.
constexpr Status permute(const TensorLayout& layout, const Dims& dims, TensorLayout& permuted) noexcept {
  if (dims.count() != layout.rank)
    return Status::error(StatusCode::kInvalidArgument, "permute: ", layout.rank, " dims required, given ", dims.count());
  TensorLayout made{.rank = layout.rank};
  bool used[kMostDims] = {};
  for (std::size_t i = 0; i < layout.rank; ++i) {
    std::size_t d = 0;
    EDGEATTN_TRY(find_dim(layout.rank, dims[i], d));
    if (used[d]) return Status::error(StatusCode::kInvalidArgument, "permute: dim ", d, " is repeated");
    used[d] = true;
    made.sizes[i] = layout.sizes[d];
    made.strides[i] = layout.strides[d];
  }
  permuted = made;
  return {};
}

/// Swaps two dims. kInvalidArgument for one out of range.
constexpr Status transpose(const TensorLayout& layout, std::ptrdiff_t a, std::ptrdiff_t b, TensorLayout& transposed) noexcept {
  std::size_t first = 0, second = 0;
  EDGEATTN_TRY(find_dim(layout.rank, a, first));
  EDGEATTN_TRY(find_dim(layout.rank, b, second));
  TensorLayout made = layout;
  std::swap(made.sizes[first], made.sizes[second]);
  std::swap(made.strides[first], made.strides[second]);
  transposed = made;
  return {};
}

/// The same elements in the same order with the fewest dims: neighbours that are spaced like one dim become one, and those
/// of size 1 go. A tensor without elements becomes one dim of size 0.
constexpr TensorLayout merge(const TensorLayout& layout) noexcept {
  TensorLayout merged;
  if (layout.elements() == 0) return {.rank = 1, .sizes = {0}, .strides = {1}};
  for (std::size_t d = 0; d < layout.rank; ++d) {
    const std::size_t size = layout.sizes[d], stride = layout.strides[d];
    if (size == 1) continue;
    if (merged.rank == 0 || merged.strides[merged.rank - 1] != size * stride) merged.sizes[merged.rank++] = 1;
    merged.sizes[merged.rank - 1] *= size;
    merged.strides[merged.rank - 1] = stride;
  }
  return merged;
}

/// Cuts the same elements in the same order into dims of other sizes, without moving any. One size may be -1: what is left.
///
/// kInvalidArgument: sizes that lay_out refuses or that have another product, more than one -1, a -1 that nothing or anything
/// would fit, and dims that are not spaced so that they can be cut like this: `contiguous` makes a copy that can.
constexpr Status view(const TensorLayout& layout, const Dims& sizes, TensorLayout& viewed) noexcept {
  const std::size_t elements = layout.elements();
  Dims filled = sizes;
  bool open = false;
  for (std::size_t d = 0; d < sizes.count() && d < kMostDims; ++d) {
    if (sizes[d] != -1) continue;
    if (open) return Status::error(StatusCode::kInvalidArgument, "view: more than one size is -1");
    open = true;
    filled[d] = 1;
  }
  TensorLayout made;
  EDGEATTN_TRY(lay_out(filled, made));
  const std::size_t known = made.elements();
  if (open ? known == 0 || elements % known != 0 : known != elements)
    return Status::error(StatusCode::kInvalidArgument, "view: the sizes ", open ? "beside -1 " : "", "have a product of ", known,
                         ", the tensor has ", elements, " elements");
  for (std::size_t d = 0; open && d < made.rank; ++d)
    if (sizes[d] == -1) filled[d] = static_cast<std::ptrdiff_t>(elements / known);
  EDGEATTN_TRY(lay_out(filled, made));

  // Each of the merged dims is cut from its end into some of the new ones.
  const TensorLayout merged = merge(layout);
  std::size_t dim = merged.rank;
  std::size_t left = 1, stride = 1;  // of the dim being cut: the size not yet used, and the distance of what is left
  for (std::size_t d = made.rank; elements != 0 && d-- > 0;) {
    if (left == 1 && made.sizes[d] != 1) {
      --dim;
      left = merged.sizes[dim];
      stride = merged.strides[dim];
    }
    if (left % made.sizes[d] != 0)
      return Status::error(StatusCode::kInvalidArgument, "view: dim ", d,
                           " of the new sizes would have no single stride; make a copy with contiguous first");
    made.strides[d] = stride;
    left /= made.sizes[d];
    stride *= made.sizes[d];
  }
  viewed = made;
  return {};
}

}  // namespace edgeattn
