#pragma once

#include "edgeattn/status.h"
#include "gemm/xnnpack_adapter.h"

namespace edgeattn::xnnpack {

/// `create`, one at a time in the process, with its errors as statuses.
Status create_serialized(const OperatorShape& shape, const float* kernel, const float* bias, std::span<std::byte> object,
                         std::span<std::byte> packed, Created& created) noexcept;

/// What create_operator and run_operator of gemm/operator.h say, for operators of XNNPACK.
///
/// @param operand_offset  gemm.operand_offset
Status create_operator(const OperatorShape& shape, std::size_t operand_offset, std::span<std::byte> object,
                       std::span<std::byte> work, Operator& op) noexcept;
bool run_operator(const Operator& op, const float* operand, std::size_t rows, const float* input, float* output) noexcept;

}  // namespace edgeattn::xnnpack
