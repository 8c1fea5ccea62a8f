#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "edgeattn/machine.h"
#include "edgeattn/status.h"

namespace edgeattn {

/// Bit pattern that stands for element (input, output), or for the bias of `output`, in an index matrix.
/// Packing copies bits, so the pattern shows where each landed; 0 is left for padding.
constexpr std::uint32_t element_mark(std::size_t input, std::size_t output, std::size_t outputs) noexcept {
  return static_cast<std::uint32_t>(input * outputs + output + 1);
}
constexpr std::uint32_t bias_mark(std::size_t output) noexcept {
  return 0x80000000u | static_cast<std::uint32_t>(output + 1);
}
/// Products of inputs and outputs that still have distinct marks.
inline constexpr std::size_t kLargestMarked = 0x7F000000;

/// Finds the (nr, kr, sr) whose closed form explains every word of a packed index matrix, zero padding included. Of several,
/// which small operands may have, the one of the largest operand: XNNPACK reads all of the padding that it knows of.
///
/// @param packed  as many words as XNNPACK asked for, which may be rounded up to 64 bytes
/// kGemm when there is none.
Status explain_layout(std::span<const std::uint32_t> packed, std::size_t inputs, std::size_t outputs,
                      PanelLayout& layout) noexcept;

}  // namespace edgeattn
