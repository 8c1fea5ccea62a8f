#include "tensor/copy.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "edgeattn/tensor.h"
#include "machine/features.h"
#include "plan/isa.h"
#include "tensor/check.h"

namespace edgeattn {
namespace {

/// Two dims of a merged layout, the last of which is that of the copy too.
struct Plane {
  std::size_t rows = 1;
  std::size_t columns = 1;
  std::size_t row_stride = 1;
  std::size_t column_stride = 1;
  std::size_t copy_stride = 1;  ///< of the rows of the copy
};

/// Elements from the start of a tensor and of its copy.
struct Place {
  std::size_t from;
  std::size_t to;
};

/// A merged layout as planes: of the last dim, and of that other one whose elements are nearest to each other.
struct PlaneCut {
  PlaneCut(const TensorLayout& from, const TensorLayout& to) noexcept : from_(from), to_(to) {
    if (from.rank == 0) return;
    last_ = from.rank - 1;
    plane.columns = from.sizes[last_];
    plane.column_stride = from.strides[last_];
    if (from.rank == 1) return;
    const auto nearest = std::min_element(from.strides, from.strides + last_);
    rows_ = static_cast<std::size_t>(nearest - from.strides);
    plane.rows = from.sizes[rows_];
    plane.row_stride = from.strides[rows_];
    plane.copy_stride = to.strides[rows_];
  }

  /// Of plane `index`.
  [[nodiscard]] Place place(std::size_t index) const noexcept {
    Place place = {0, 0};
    for (std::size_t d = from_.rank; d-- > 0;) {
      if (d == last_ || d == rows_) continue;
      place.from += index % from_.sizes[d] * from_.strides[d];
      place.to += index % from_.sizes[d] * to_.strides[d];
      index /= from_.sizes[d];
    }
    return place;
  }

  Plane plane;

 private:
  const TensorLayout& from_;
  const TensorLayout& to_;
  std::size_t last_ = kMostDims;
  std::size_t rows_ = kMostDims;
};

/// Elements of `bytes`, a constant or not.
template <class Bytes>
void copy_plane(const std::byte* from, const Plane& plane, std::byte* to, Bytes bytes) noexcept {
  constexpr std::size_t kBlock = 16;  // a few lines of both stay in cache
  for (std::size_t i0 = 0; i0 < plane.rows; i0 += kBlock) {
    for (std::size_t j0 = 0; j0 < plane.columns; j0 += kBlock) {
      for (std::size_t i = i0; i < std::min(i0 + kBlock, plane.rows); ++i) {
        const std::byte* const row = from + i * plane.row_stride * bytes;
        std::byte* const copy = to + i * plane.copy_stride * bytes;
        for (std::size_t j = j0; j < std::min(j0 + kBlock, plane.columns); ++j)
          std::memcpy(copy + j * bytes, row + j * plane.column_stride * bytes, bytes);
      }
    }
  }
}

template <std::size_t kBytes>
using Constant = std::integral_constant<std::size_t, kBytes>;

void copy_plane(const Kernels& kernels, const std::byte* from, const Plane& plane, std::byte* to, std::size_t bytes) noexcept {
  if (plane.column_stride == 1) {
    for (std::size_t i = 0; i < plane.rows; ++i)
      std::memcpy(to + i * plane.copy_stride * bytes, from + i * plane.row_stride * bytes, plane.columns * bytes);
    return;
  }
  const auto addresses = reinterpret_cast<std::uintptr_t>(from) | reinterpret_cast<std::uintptr_t>(to);
  switch (bytes) {
    case 1: return copy_plane(from, plane, to, Constant<1>());
    case 2: return copy_plane(from, plane, to, Constant<2>());
    case 4:
      if (addresses % alignof(float) != 0) return copy_plane(from, plane, to, Constant<4>());
      return copy_matrix(kernels, reinterpret_cast<const float*>(from), plane.rows, plane.columns, plane.row_stride,
                         plane.column_stride, reinterpret_cast<float*>(to), plane.copy_stride);
    case 8: return copy_plane(from, plane, to, Constant<8>());
    case 16: return copy_plane(from, plane, to, Constant<16>());
    default: return copy_plane(from, plane, to, bytes);
  }
}

}  // namespace

Status tensor_kernels(Isa isa, Kernels& kernels) noexcept {
  static const CpuFeatures features = detect_features();
  const Machine machine{.avx2 = features.avx2, .avx512 = features.avx512, .neon = features.neon};
  Isa chosen = Isa::kScalar;
  EDGEATTN_TRY(choose_isa(isa, machine, chosen));
  kernels_init(kernels, kernel_set(chosen));
  return {};
}

void copy_matrix(const Kernels& kernels, const float* from, std::size_t rows, std::size_t columns, std::size_t row_stride,
                 std::size_t column_stride, float* to, std::size_t stride) noexcept {
  if (column_stride == 1) {
    for (std::size_t i = 0; i < rows; ++i) std::memcpy(to + i * stride, from + i * row_stride, columns * sizeof(float));
  } else if (row_stride == 1) {
    kernels.transpose(from, column_stride, to, stride, columns, rows);
  } else {
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j)
        std::memcpy(to + i * stride + j, from + i * row_stride + j * column_stride, sizeof(float));
  }
}

Status copy_contiguous(const void* from, const TensorLayout& layout, std::size_t element_bytes, std::span<std::byte> to,
                       Isa isa) noexcept {
  Kernels kernels;
  EDGEATTN_TRY(tensor_kernels(isa, kernels));
  const TensorLayout source = merge(layout);
  const std::size_t elements = source.elements();
  if (elements == 0) return {};
  const Memory tensor{"the tensor", from, source.extent() * element_bytes}, buffer{"the buffer", to.data(), elements * element_bytes};
  EDGEATTN_TRY(check_memory("contiguous", tensor));
  EDGEATTN_TRY(check_memory("contiguous", buffer));
  EDGEATTN_TRY(check_disjoint("contiguous", tensor, buffer));

  TensorLayout copy;
  EDGEATTN_TRY(lay_out(std::span(source.sizes, source.rank), copy));
  const PlaneCut cut(source, copy);
  const auto* const bytes_from = static_cast<const std::byte*>(from);
  for (std::size_t i = 0; i < elements / (cut.plane.rows * cut.plane.columns); ++i) {
    const Place place = cut.place(i);
    copy_plane(kernels, bytes_from + place.from * element_bytes, cut.plane, to.data() + place.to * element_bytes, element_bytes);
  }
  return {};
}

}  // namespace edgeattn
