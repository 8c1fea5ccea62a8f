#include "gemm/layout.h"

namespace edgeattn {
namespace {

/// Whether `layout` puts every bias and element where it was found, and zeros elsewhere. Columns past the last output, whose
/// results are never stored, may repeat its elements instead.
bool explains(const PanelLayout& layout, std::span<const std::uint32_t> packed) noexcept {
  constexpr std::size_t kAlignmentWords = 16;
  if (packed.size() < layout.size() || packed.size() - layout.size() >= kAlignmentWords) return false;
  const std::size_t columns = layout.panels() * layout.nr;
  for (std::size_t column = 0; column < columns; ++column) {
    const bool padding = column >= layout.outputs;
    const std::size_t output = padding ? layout.outputs - 1 : column;
    if (packed[layout.bias_offset(column)] != (padding ? 0 : bias_mark(output))) return false;
    for (std::size_t input = 0; input < layout.depth(); ++input) {
      const std::uint32_t found = packed[layout.offset(input, column)];
      const std::uint32_t expected = input < layout.inputs ? element_mark(input, output, layout.outputs) : 0;
      if (found != expected && !(padding && found == 0)) return false;
    }
  }
  for (std::size_t i = layout.size(); i < packed.size(); ++i)
    if (packed[i] != 0) return false;
  return true;
}

}  // namespace

Status explain_layout(std::span<const std::uint32_t> packed, std::size_t inputs, std::size_t outputs,
                      PanelLayout& layout) noexcept {
  PanelLayout best;
  for (std::uint32_t nr = 1; nr <= 128; ++nr) {
    for (std::uint32_t kr = 1; kr <= 16; kr *= 2) {
      for (std::uint32_t sr = 1; sr <= 16; sr *= 2) {
        const PanelLayout candidate{.inputs = inputs, .outputs = outputs, .nr = nr, .kr = kr, .sr = sr};
        if (candidate.size() > best.size() && explains(candidate, packed)) best = candidate;
      }
    }
  }
  if (best.size() > 0) {
    layout = best;
    return {};
  }
  return Status::error(StatusCode::kGemm, "XNNPACK packs a ", inputs, " to ", outputs,
                       " operand in a layout that edgeattn does not understand");
}

}  // namespace edgeattn
