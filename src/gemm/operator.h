#pragma once

#include <cstddef>
#include <span>

#include "edgeattn/machine.h"
#include "edgeattn/status.h"
#include "thread_sanitizer.h"

namespace edgeattn {

/// A product [rows, inputs]·operand + bias → [rows, outputs], with row strides in elements.
struct OperatorShape {
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  std::size_t input_stride = 0;
  std::size_t output_stride = 0;
};

/// Bytes that XNNPACK may read past the end of an input.
inline constexpr std::size_t kInputPaddingBytes = 16;

/// An XNNPACK fully connected operator inside the caller's memory. It owns no packed operand: each call is told which one
/// to multiply with, so one operator serves every operand of its shape. A handle: copies mean the same operator.
struct Operator {
  void* object = nullptr;          ///< xnn_operator_t
  const void** operand = nullptr;  ///< where the operator looks for its packed operand
#if EDGEATTN_TSAN
  OperatorShape shape = {};        ///< what of its arguments a product touches
#endif
};

/// The name that gemm_traits gives in Gemm::name.
const char* gemm_name() noexcept;

/// Creates an operator.
///
/// @param operand_offset  gemm.operand_offset
/// @param object  gemm.operator_bytes, aligned to 64; the operator lives there, and is gone when that memory is reused
/// @param work    if gemm.packs_at_creation, room for one packed operand of this shape, aligned to 64: overwritten
/// Thread-safe. kGemm when XNNPACK refuses, or would keep memory elsewhere.
Status create_operator(const OperatorShape& shape, std::size_t operand_offset, std::span<std::byte> object,
                       std::span<std::byte> work, Operator& op) noexcept;

/// Multiplies `rows` ≥ 1 rows with `operand` (packed in this shape's PanelLayout) on the calling thread.
///
/// @param input   [rows, inputs] followed by kInputPaddingBytes that may be read
/// @param output  [rows, outputs]; may not overlap input or operand
/// @return false if XNNPACK refused, which a created operator gives no cause for
/// One call at a time on one operator.
bool run_operator(const Operator& op, const float* operand, std::size_t rows, const float* input, float* output) noexcept;

}  // namespace edgeattn
