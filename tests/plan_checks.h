#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

#include "edgeattn/plan.h"

/// Plans of machines that are not here, and what every memory map must be.
namespace edgeattn::test {

/// A GEMM library of made-up layout.
inline Gemm made_up_gemm(bool packs_at_creation) {
  Gemm made_up;
  made_up.probe = [](std::size_t inputs, std::size_t outputs, PanelLayout& layout) noexcept {
    layout = {.inputs = inputs, .outputs = outputs, .nr = 8, .kr = 1, .sr = 1};
    return Status{};
  };
  made_up.operator_bytes = 2112;
  made_up.packs_at_creation = packs_at_creation;
  made_up.mr = 6;
  made_up.name = "made up";
  return made_up;
}

/// What is wrong with a plan's map: regions that are alive together and share bytes, or of two slots that do, one that is empty or
/// not aligned, totals that are not exact. Empty when nothing is.
inline std::string fault_of_map(const Plan& plan) {
  std::size_t ends[3] = {};
  for (std::size_t i = 0; i < plan.regions(); ++i) {
    const Region a = plan.region(i);
    if (a.offset % Plan::kAlignment != 0) return std::string(a.name) + " is not aligned";
    if (a.bytes == 0) return std::string(a.name) + " is empty";
    auto& end = ends[static_cast<std::size_t>(a.space)];
    end = std::max(end, a.offset + a.bytes);
    for (std::size_t j = 0; j < i; ++j) {
      const Region b = plan.region(j);
      if (a.space != b.space || a.offset >= b.offset + b.bytes || b.offset >= a.offset + a.bytes) continue;
      const bool alive_together = a.first <= b.last && b.first <= a.last;
      const bool of_two_slots = a.slot != b.slot && a.slot != Region::kShared && b.slot != Region::kShared;
      if (alive_together || of_two_slots) return std::string(a.name) + " and " + b.name + " share bytes";
    }
  }
  const bool exact = ends[0] == plan.prepared_bytes && ends[1] == plan.persistent_bytes && ends[2] == plan.scratch_bytes;
  return exact ? "" : "the totals are not where the last regions end";
}

}  // namespace edgeattn::test
