#pragma once

#include <cstddef>

#include "edgeattn/machine.h"
#include "edgeattn/tensor_layout.h"
#include "kernels.h"

namespace edgeattn {

/// Resolves kAuto to the best that this processor and build have; kUnsupported if `wanted` is missing from either.
Status tensor_isa(Isa wanted, Isa& isa) noexcept;

/// The kernels of `isa`. The statuses of tensor_isa.
Status tensor_kernels(Isa isa, Kernels& kernels) noexcept;

/// Copies a matrix [rows, columns] of any strides to rows of neighbouring elements, which may not overlap it.
///
/// @param from  element (i, j) at from[i·row_stride + j·column_stride]
/// @param to    [rows, columns], row stride `stride`
/// Bits are moved as they are, of any type of 4 bytes.
void copy_matrix(const Kernels& kernels, const float* from, std::size_t rows, std::size_t columns, std::size_t row_stride,
                 std::size_t column_stride, float* to, std::size_t stride) noexcept;

}  // namespace edgeattn
