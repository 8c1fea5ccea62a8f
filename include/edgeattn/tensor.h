#pragma once

#include <algorithm>
#include <cassert>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

#include "edgeattn/machine.h"
#include "edgeattn/status.h"
#include "edgeattn/tensor_layout.h"

/// The tensor operations that the block is explained with, on the caller's memory, with the meanings that PyTorch gives them.
///
/// None allocates, none throws. Negative dims count from the end. What an operation gives may be stored over what it was given.
namespace edgeattn {

/// A tensor in memory that belongs to somebody else. A plain value: copies are views of the same elements. TensorView<float>
/// converts to TensorView<const float>, which cannot write. Made by `wrap`, and from other views.
template <class T>
class TensorView {
 public:
  /// No elements: one dim of size 0.
  constexpr TensorView() noexcept = default;
  /// `layout` must lie within the memory from `data` on, which `wrap` checks.
  constexpr TensorView(T* data, const TensorLayout& layout) noexcept : data_(data), layout_(layout) {}
  template <class U>
    requires std::same_as<T, const U>
  constexpr TensorView(const TensorView<U>& view) noexcept  // NOLINT(google-explicit-constructor): adds const
      : data_(view.data()), layout_(view.layout()) {}

  /// The first element.
  [[nodiscard]] constexpr T* data() const noexcept { return data_; }
  [[nodiscard]] constexpr const TensorLayout& layout() const noexcept { return layout_; }
  [[nodiscard]] constexpr std::size_t rank() const noexcept { return layout_.rank; }
  [[nodiscard]] constexpr std::size_t elements() const noexcept { return layout_.elements(); }
  [[nodiscard]] constexpr Dims sizes() const noexcept { return std::span(layout_.sizes, layout_.rank); }
  /// Of a dim below the rank.
  [[nodiscard]] constexpr std::size_t size(std::size_t dim) const noexcept { return layout_.sizes[dim]; }
  [[nodiscard]] constexpr std::size_t stride(std::size_t dim) const noexcept { return layout_.strides[dim]; }

  /// The element at one index for each dim, each below its size.
  template <std::integral... Index>
  [[nodiscard]] constexpr T& operator()(Index... index) const noexcept {
    assert(sizeof...(Index) == layout_.rank);
    std::size_t dim = 0, offset = 0;
    ((assert(static_cast<std::size_t>(index) < layout_.sizes[dim]),
      offset += static_cast<std::size_t>(index) * layout_.strides[dim++]),
     ...);
    return data_[offset];
  }

 private:
  T* data_ = nullptr;
  TensorLayout layout_ = {.rank = 1, .sizes = {0}, .strides = {1}};
};

/// Views `memory` as a tensor of these sizes, its elements side by side.
///
/// The statuses of `lay_out`; kTooSmall with the elements required and given.
template <class T>
constexpr Status wrap(std::span<std::type_identity_t<T>> memory, const Dims& sizes, TensorView<T>& view) noexcept {
  TensorLayout layout;
  EDGEATTN_TRY(lay_out(sizes, layout));
  EDGEATTN_TRY(check_room("wrap: the memory", layout.extent(), memory.size()));
  view = {memory.data(), layout};
  return {};
}
/// The same with strides of one's own, in elements.
template <class T>
constexpr Status wrap(std::span<std::type_identity_t<T>> memory, const Dims& sizes, const Dims& strides,
                      TensorView<T>& view) noexcept {
  TensorLayout layout;
  EDGEATTN_TRY(lay_out(sizes, strides, layout));
  EDGEATTN_TRY(check_room("wrap: the memory", layout.extent(), memory.size()));
  view = {memory.data(), layout};
  return {};
}

/// Puts dim dims[i] at place i. The statuses of `permute` for layouts.
template <class T>
constexpr Status permute(const TensorView<std::type_identity_t<T>>& tensor, const Dims& dims, TensorView<T>& permuted) noexcept {
  TensorLayout layout;
  EDGEATTN_TRY(permute(tensor.layout(), dims, layout));
  permuted = {tensor.data(), layout};
  return {};
}

/// Swaps two dims. The statuses of `transpose` for layouts.
template <class T>
constexpr Status transpose(const TensorView<std::type_identity_t<T>>& tensor, std::ptrdiff_t a, std::ptrdiff_t b,
                           TensorView<T>& transposed) noexcept {
  TensorLayout layout;
  EDGEATTN_TRY(transpose(tensor.layout(), a, b, layout));
  transposed = {tensor.data(), layout};
  return {};
}

/// The `size` neighbours from `first` on of one dim. A part without elements points to where the tensor does.
///
/// kInvalidArgument: a dim out of range, or a range that leaves it.
template <class T>
constexpr Status narrow(const TensorView<std::type_identity_t<T>>& tensor, std::ptrdiff_t dim, std::size_t first,
                        std::size_t size, TensorView<T>& part) noexcept {
  TensorLayout layout = tensor.layout();
  std::size_t d = 0;
  EDGEATTN_TRY(find_dim(layout.rank, dim, d));
  if (first > layout.sizes[d] || size > layout.sizes[d] - first)
    return Status::error(StatusCode::kInvalidArgument, "narrow: ", size, " from ", first, " on is out of range: dim ", d,
                         " has size ", layout.sizes[d]);
  layout.sizes[d] = size;
  part = {layout.elements() != 0 ? tensor.data() + first * layout.strides[d] : tensor.data(), layout};
  return {};
}

/// Cuts a dim into parts of these sizes, at most kMostDims of them.
///
/// @param parts  one for each size
/// kInvalidArgument: a dim out of range, a negative size, sizes that do not sum to that of the dim, another number of parts.
template <class T>
constexpr Status split(const TensorView<T>& tensor, const Dims& sizes, std::ptrdiff_t dim,
                       std::span<TensorView<std::type_identity_t<T>>> parts) noexcept {
  const TensorView<T> whole = tensor;
  std::size_t d = 0;
  EDGEATTN_TRY(find_dim(whole.rank(), dim, d));
  EDGEATTN_TRY(check_split(whole.size(d), sizes, parts.size()));
  for (std::size_t i = 0, first = 0; i < parts.size(); first += parts[i++].size(d))
    EDGEATTN_TRY(narrow(whole, dim, first, static_cast<std::size_t>(sizes[i]), parts[i]));
  return {};
}
/// Cuts a dim into parts of `size` each, the last of which may be smaller. A dim of size 0 is one part.
///
/// kInvalidArgument also for a size below 1.
template <class T, std::integral Size>
constexpr Status split(const TensorView<T>& tensor, Size size, std::ptrdiff_t dim,
                       std::span<TensorView<std::type_identity_t<T>>> parts) noexcept {
  const TensorView<T> whole = tensor;
  std::size_t d = 0;
  EDGEATTN_TRY(find_dim(whole.rank(), dim, d));
  EDGEATTN_TRY(check_split(whole.size(d), size, parts.size()));
  const auto each = static_cast<std::size_t>(size);
  for (std::size_t i = 0; i < parts.size(); ++i)
    EDGEATTN_TRY(narrow(whole, dim, i * each, std::min(each, whole.size(d) - i * each), parts[i]));
  return {};
}

/// Cuts the same elements in the same order into dims of other sizes, one of which may be -1, without a copy.
///
/// The statuses of `view` for layouts: where no strides would do, the error names `contiguous`.
template <class T>
constexpr Status view(const TensorView<std::type_identity_t<T>>& tensor, const Dims& sizes, TensorView<T>& viewed) noexcept {
  TensorLayout layout;
  EDGEATTN_TRY(view(tensor.layout(), sizes, layout));
  viewed = {tensor.data(), layout};
  return {};
}

/// Whether the elements stand side by side in the order of their indices.
template <class T>
[[nodiscard]] constexpr bool is_contiguous(const TensorView<T>& tensor) noexcept {
  return tensor.layout().contiguous();
}

/// What `contiguous` does with elements of any type. `to` has room for all of them.
EDGEATTN_API Status copy_contiguous(const void* from, const TensorLayout& layout, std::size_t element_bytes,
                                    std::span<std::byte> to, Isa isa) noexcept;

/// Copies a tensor into `buffer`, its elements side by side in the order of their indices.
///
/// @param buffer  tensor.elements() or more; may not overlap the memory from the tensor's first element to its last
/// @param isa     kernels to copy with; kAuto for the processor's best
/// Bits are moved as they are. Elements of 4 bytes in another order than their tensor's, such as NCHW to NHWC, take SIMD kernels.
/// kTooSmall with the elements required and given; kInvalidArgument: an overlap; kUnsupported: an isa that is not there.
template <class T>
  requires std::is_trivially_copyable_v<T>
Status contiguous(const TensorView<std::add_const_t<T>>& tensor, std::span<std::remove_const_t<T>> buffer, TensorView<T>& copy,
                  Isa isa = Isa::kAuto) noexcept {
  TensorLayout layout;
  EDGEATTN_TRY(lay_out(tensor.sizes(), layout));
  EDGEATTN_TRY(check_room("contiguous: the buffer", layout.elements(), buffer.size()));
  EDGEATTN_TRY(copy_contiguous(tensor.data(), tensor.layout(), sizeof(T), std::as_writable_bytes(buffer), isa));
  copy = {buffer.data(), layout};
  return {};
}

/// Softmax along one dim: out[…, i, …] = exp(x[…, i, …]) / Σ_j exp(x[…, j, …]).
///
/// @param out  the sizes of `tensor`; `tensor` itself, or disjoint from the memory between its first element and its last
/// @param isa  kernels to compute with; kAuto for the processor's best
/// Any dim, any strides; fastest where out's stride along the dim is 1. With n elements along the dim and d their distance from
/// the largest, the relative error is at most (2.25·d + 2·n + 12)·2⁻²⁴; results below 2⁻¹²⁶ may become 0. As in PyTorch, an
/// element of -inf gets 0, and what has a NaN or inf along the dim, or nothing but -inf, becomes NaN.
/// kInvalidArgument: a dim out of range, other sizes, no memory, an overlap, an `out` that has several elements in one place;
/// kUnsupported: an isa that is not there.
EDGEATTN_API Status softmax(const TensorView<const float>& tensor, std::ptrdiff_t dim, const TensorView<float>& out,
                            Isa isa = Isa::kAuto) noexcept;

/// Sizes of a batched matrix product [batch, rows, inner] × [batch, inner, columns] → [batch, rows, columns], of any batch.
struct BmmShape {
  std::size_t rows = 0;
  std::size_t inner = 0;
  std::size_t columns = 0;

  bool operator==(const BmmShape&) const noexcept = default;
};

/// Bytes that a product needs, known before any memory exists. A plain value.
struct BmmPlan {
  BmmShape shape;
  Isa isa = Isa::kScalar;  ///< of the kernels that lay out operands; never kAuto

  std::size_t persistent_bytes = 0;  ///< the operator
  std::size_t scratch_bytes = 0;     ///< whatever a call of bmm overwrites; may be shared by products that never run at once

  // What bind and bmm use.
  PanelLayout operand;           ///< of the matrices of b
  std::size_t row_tile = 0;      ///< most rows of `a` that are multiplied at once
  std::size_t row_unit = 0;      ///< of which tiles are whole multiples, but for the last
  std::size_t tile_offset = 0;   ///< bytes into scratch: a tile of `a`
  std::size_t rows_offset = 0;   ///< bytes into scratch: a float for each row of a tile
  const char* gemm_name = "";    ///< of Gemm, as are the next two
  std::size_t operator_bytes = 0;
  std::size_t operand_offset = 0;
};

/// Plans a product. Touches no memory but its arguments and what `gemm.probe` does.
///
/// kInvalidArgument: a size of 0, sizes that overflow, an empty `gemm`; kUnsupported: an isa that is not there; kGemm: from the
/// probe.
EDGEATTN_API Status plan(const BmmShape& shape, const Gemm& gemm, BmmPlan& plan, Isa isa = Isa::kAuto) noexcept;

/// A product bound to its memory. Movable by copy: all state is in the spans, which must outlive it.
class EDGEATTN_API Bmm {
 public:
  Bmm() noexcept = default;

  [[nodiscard]] const BmmPlan& plan() const noexcept { return plan_; }

 private:
  friend Status bind(const BmmPlan&, std::span<std::byte>, std::span<std::byte>, Bmm&) noexcept;
  friend Status bmm(const TensorView<const float>&, const TensorView<const float>&, const TensorView<float>&, Bmm&) noexcept;

  BmmPlan plan_;
  void* operator_ = nullptr;
  const void** operand_ = nullptr;
  std::byte* scratch_ = nullptr;
};

/// Creates the product's operator inside `persistent`.
///
/// @param persistent  at least plan.persistent_bytes, aligned to 64; belongs to this product
/// @param scratch     at least plan.scratch_bytes, aligned to 64; written by bind and by bmm
/// kTooSmall and kInvalidArgument name the span; kMismatch: a plan of another XNNPACK; kUnsupported: of an isa that is not there;
/// kGemm when XNNPACK refuses.
EDGEATTN_API Status bind(const BmmPlan& plan, std::span<std::byte> persistent, std::span<std::byte> scratch, Bmm& gemm) noexcept;

/// Multiplies matrix by matrix of a batch: out[i] = a[i]·b[i], on the calling thread.
///
/// @param a     [batch, rows, inner], of any strides: a stride of 0 repeats a matrix. Fastest where each matrix is contiguous
/// @param b     [batch, inner, columns], of any strides
/// @param out   [batch, rows, columns], each matrix of it contiguous; disjoint from a and b
/// @param gemm  bound to a plan of these sizes
/// Sums are float32, in the GEMM's order. Denormal numbers may count as zero. A NaN, or an infinity times zero, makes NaN where it
/// takes part. Allocates nothing. One call at a time on one `gemm`.
/// kInvalidArgument: another number of dims than 3, no memory, an `out` that is not contiguous, an overlap, a `gemm` that is not
/// bound; kMismatch: other sizes than those of the plan.
EDGEATTN_API Status bmm(const TensorView<const float>& a, const TensorView<const float>& b, const TensorView<float>& out,
                        Bmm& gemm) noexcept;

}  // namespace edgeattn
