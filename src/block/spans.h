#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "edgeattn/plan.h"
#include "edgeattn/status.h"
#include "plan/memory_map.h"

namespace edgeattn {

/// Whether a caller's span is there, aligned and large enough; the error names it.
inline Status check_span(const char* name, std::span<std::byte> span, std::size_t required_bytes) noexcept {
  if (span.size() < required_bytes)
    return Status::error(StatusCode::kTooSmall, "the ", name, " span is too small: ", required_bytes,
                         " bytes required, ", span.size(), " given");
  const auto address = reinterpret_cast<std::uintptr_t>(span.data());
  if (address == 0 || address % Plan::kAlignment != 0)
    return Status::error(StatusCode::kInvalidArgument, "the ", name, " span must be aligned to ", Plan::kAlignment,
                         " bytes, its address is ", address % Plan::kAlignment, " past a multiple");
  return {};
}

/// The region `name` of the space that starts at `base`.
inline float* floats_at(std::byte* base, const Plan& plan, std::string_view name, std::size_t slot = 0) noexcept {
  const Region region = find_region(plan, name, slot);
  assert(region.bytes > 0);
  return reinterpret_cast<float*>(base + region.offset);
}

}  // namespace edgeattn
