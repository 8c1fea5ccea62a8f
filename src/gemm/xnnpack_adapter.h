#pragma once

#include <xnnpack.h>

#include <cstddef>
#include <span>

#include "gemm/operator.h"

/// What differs between XNNPACK's APIs: one source file for each.
namespace edgeattn::xnnpack {

extern const char* const kName;
extern const bool kPacksAtCreation;

struct Created {
  xnn_operator_t object = nullptr;
  std::size_t bytes = 0;         ///< of the operator's memory that are in use
  std::size_t packed_bytes = 0;  ///< that XNNPACK asked for to pack the operand
};

/// Creates an operator in the memory `object`. Not thread-safe.
///
/// @param kernel  [outputs, inputs] to pack into `packed`, with bias [outputs]; null to pack nothing of meaning
/// @param packed  room for the packed operand, and where the operator looks for it; not written if kernel is null and not
///                kPacksAtCreation
/// xnn_status_invalid_state when XNNPACK's allocations do not come to the arena hook.
xnn_status create(const OperatorShape& shape, const float* kernel, const float* bias, std::span<std::byte> object,
                  std::span<std::byte> packed, Created& created) noexcept;

/// Readies the operator for a batch of rows.
xnn_status setup(xnn_operator_t op, std::size_t rows, const float* input, float* output) noexcept;

}  // namespace edgeattn::xnnpack
