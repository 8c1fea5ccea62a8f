#pragma once

#include <cstddef>
#include <span>

#include "edgeattn/machine.h"
#include "edgeattn/status.h"
#include "kernels.h"
#include "thread_sanitizer.h"

namespace edgeattn {

/// A product [rows, inputs]·operand + bias → [rows, outputs], with row strides in elements.
struct OperatorShape {
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  std::size_t input_stride = 0;
  std::size_t output_stride = 0;
  std::size_t nr = 0;  ///< of the operand's PanelLayout, which the built-in GEMM has to be told
};

constexpr OperatorShape shape_of(const PanelLayout& operand, std::size_t input_stride, std::size_t output_stride) noexcept {
  return {.inputs = operand.inputs,
          .outputs = operand.outputs,
          .input_stride = input_stride,
          .output_stride = output_stride,
          .nr = operand.nr};
}

/// Bytes that XNNPACK may read past the end of an input.
inline constexpr std::size_t kInputPaddingBytes = 16;

/// A fully connected operator inside the caller's memory, of XNNPACK or built in. It owns no packed operand: each call is told
/// which one to multiply with, so one operator serves every operand of its shape. A handle: copies mean the same operator.
struct Operator {
  void* object = nullptr;          ///< xnn_operator_t, or what the built-in GEMM keeps
  const void** operand = nullptr;  ///< where XNNPACK's operator looks for its packed operand; null for a built-in one
#if EDGEATTN_TSAN
  OperatorShape shape = {};        ///< what of its arguments a product of XNNPACK touches
#endif
};

/// Where operators come from.
struct GemmSource {
  gemm_fn* kernel = nullptr;       ///< of the built-in GEMM; null for XNNPACK
  std::size_t operand_offset = 0;  ///< gemm.operand_offset
};

/// The source of a plan's operators.
///
/// @param name  gemm.name
/// @param kernels  of the plan's instruction set
/// kMismatch if this build has no GEMM of that name.
Status find_gemm(const char* name, std::size_t operand_offset, const Kernels& kernels, GemmSource& source) noexcept;

/// Creates an operator.
///
/// @param object  gemm.operator_bytes, aligned to 64; the operator lives there, and is gone when that memory is reused
/// @param work    if gemm.packs_at_creation, room for one packed operand of this shape, aligned to 64: overwritten
/// Thread-safe. kGemm when XNNPACK refuses, or would keep memory elsewhere, and when `object` is too small.
Status create_operator(const OperatorShape& shape, const GemmSource& source, std::span<std::byte> object,
                       std::span<std::byte> work, Operator& op) noexcept;

/// Multiplies `rows` ≥ 1 rows with `operand` (packed in this shape's PanelLayout) on the calling thread.
///
/// @param input   [rows, inputs] followed by kInputPaddingBytes that may be read
/// @param output  [rows, outputs]; may not overlap input or operand
/// @param rescale  null, or of the built-in GEMM alone [rows], each in [0, 1]: adds to what `output` holds, times this
/// @return false if XNNPACK refused, which a created operator gives no cause for
/// One call at a time on one operator.
bool run_operator(const Operator& op, const float* operand, std::size_t rows, const float* input, float* output,
                  const float* rescale = nullptr) noexcept;

/// Whether a packed operand of so many elements can be: kInvalidArgument if not, or beyond `most` with the padding of any layout.
Status check_operand_size(std::size_t inputs, std::size_t outputs, std::size_t most) noexcept;

}  // namespace edgeattn
