#include "tensor/copy.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "edgeattn/tensor.h"
#include "machine/features.h"
#include "plan/isa.h"
#include "tensor/check.h"
#include "tensor/planes.h"

namespace edgeattn {
namespace {

/// Two dims of a merged layout, the last of which is that of the copy too.
struct Plane {
  std::size_t rows;
  std::size_t columns;
  std::size_t row_stride;
  std::size_t column_stride;
  std::size_t copy_stride;  ///< of the rows of the copy
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

/// Asked once, for a virtual machine may take longer to answer than a copy. A constant would have a guard, which is a lock and needs
/// the C++ runtime.
CpuFeatures known_features() noexcept {
  constexpr unsigned kKnown = 1, kAvx2 = 2, kAvx512 = 4, kNeon = 8;
  static std::atomic<unsigned> known{0};
  unsigned bits = known.load(std::memory_order_relaxed);
  if (bits == 0) {
    const CpuFeatures found = detect_features();
    bits = kKnown | (found.avx2 ? kAvx2 : 0) | (found.avx512 ? kAvx512 : 0) | (found.neon ? kNeon : 0);
    known.store(bits, std::memory_order_relaxed);
  }
  return {.avx2 = (bits & kAvx2) != 0, .avx512 = (bits & kAvx512) != 0, .neon = (bits & kNeon) != 0};
}

}  // namespace

Status tensor_isa(Isa wanted, Isa& isa) noexcept {
  const CpuFeatures features = known_features();
  return choose_isa(wanted, {.avx2 = features.avx2, .avx512 = features.avx512, .neon = features.neon}, isa);
}

Status tensor_kernels(Isa isa, Kernels& kernels) noexcept {
  Isa chosen = Isa::kScalar;
  EDGEATTN_TRY(tensor_isa(isa, chosen));
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
  const Memory tensor{"the tensor", from, source.extent() * element_bytes};
  const Memory buffer{"the buffer", to.data(), elements * element_bytes};
  EDGEATTN_TRY(check_memory("contiguous", tensor));
  EDGEATTN_TRY(check_memory("contiguous", buffer));
  EDGEATTN_TRY(check_disjoint("contiguous", tensor, buffer));

  if (source.rank == 0) {
    std::memcpy(to.data(), from, element_bytes);
    return {};
  }

  // Planes of the last dim and of that other one whose elements are nearest to each other.
  TensorLayout copy;
  EDGEATTN_TRY(lay_out(std::span(source.sizes, source.rank), copy));
  const std::size_t columns = source.rank - 1, rows = nearest_dim(source, columns);
  const Plane plane{.rows = rows == columns ? 1 : source.sizes[rows],
                    .columns = source.sizes[columns],
                    .row_stride = source.strides[rows],
                    .column_stride = source.strides[columns],
                    .copy_stride = copy.strides[rows]};
  const Planes planes(source, copy, rows, columns);
  for (std::size_t i = 0; i < planes.count(); ++i) {
    const Planes::Place place = planes.place(i);
    copy_plane(kernels, static_cast<const std::byte*>(from) + place.from * element_bytes, plane,
               to.data() + place.to * element_bytes, element_bytes);
  }
  return {};
}

}  // namespace edgeattn
