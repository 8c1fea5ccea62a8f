#pragma once

#include <cstddef>

#include "edgeattn/machine.h"
#include "kernels.h"
#include "plan/sizes.h"

namespace edgeattn {

/// Elements from one key block's operand to the next one's: keeps each aligned to 64 bytes.
constexpr std::size_t operand_stride(const PanelLayout& layout) noexcept { return sizes::round_up(layout.size(), 16); }

inline Panels panels(const PanelLayout& layout, float* data) noexcept {
  return {.data = data,
          .nr = layout.nr,
          .panel_stride = layout.panel_stride(),
          .kr = layout.kr,
          .sr = layout.sr};
}

/// Whether the SIMD kernels write this layout; the general scalar kernels write any.
constexpr bool simd_layout(const PanelLayout& layout) noexcept { return layout.plain() && layout.nr % 8 == 0; }

}  // namespace edgeattn
