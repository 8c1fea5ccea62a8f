#pragma once

#include <cstddef>
#include <cstdint>

#include "edgeattn/machine.h"
#include "kernels.h"
#include "reduced_kernels.h"

namespace edgeattn {

inline Panels panels(const PanelLayout& layout, std::byte* data) noexcept {
  return {.data = reinterpret_cast<float*>(data),
          .nr = layout.nr,
          .panel_stride = layout.panel_stride(),
          .kr = layout.kr,
          .sr = layout.sr};
}

/// For kernels that read operands too, such as weights.
inline ReducedPanels reduced_panels(const PanelLayout& layout, const std::byte* data) noexcept {
  return {.data = reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(data)), .nr = layout.nr, .panel_bytes = layout.panel_bytes()};
}

/// Whether the SIMD kernels write this layout; the general scalar kernels write any.
constexpr bool simd_layout(const PanelLayout& layout) noexcept { return layout.plain() && layout.nr % 8 == 0; }

}  // namespace edgeattn
