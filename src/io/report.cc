#include "report.h"

#include <charconv>
#include <iterator>

namespace edgeattn::io {

std::string human_bytes(std::size_t bytes) {
  static constexpr const char* kUnits[] = {" B", " KiB", " MiB", " GiB", " TiB"};
  std::size_t unit = 0;
  std::size_t scale = 1;
  while (unit + 1 < std::size(kUnits) && bytes / scale >= 1024) {
    scale *= 1024;
    ++unit;
  }
  if (unit == 0) return std::to_string(bytes) + kUnits[0];
  const std::size_t tenths = bytes / scale * 10 + (bytes % scale * 10 + scale / 2) / scale;
  return std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10) + kUnits[unit];
}

std::string region_label(const Region& region) {
  if (region.slot == Region::kShared) return region.name;
  return region.name + ('[' + std::to_string(region.slot) + ']');
}

std::string block_title(const Plan& plan) {
  const std::string heads = plan.spec.heads > 1 ? " in " + std::to_string(plan.spec.heads) + " heads" : "";
  return std::to_string(plan.spec.channels) + " channels" + heads + ", " + std::to_string(plan.shape.height) + " x " +
         std::to_string(plan.shape.width) + " pixels, batch " + std::to_string(plan.shape.batch);
}

std::string run_title(const Plan& plan) {
  return std::to_string(plan.threads) + (plan.threads == 1 ? " thread, " : " threads, ") + to_string(plan.isa) + ", " +
         to_string(plan.precision) + ", " + to_string(plan.layout) + ", tiles of " + std::to_string(plan.query_tile) +
         " queries by " + std::to_string(plan.key_block) + " keys";
}

std::string fixed(double value, int decimals) {
  char digits[400];
  return {digits, std::to_chars(std::begin(digits), std::end(digits), value, std::chars_format::fixed, decimals).ptr};
}

std::size_t space_bytes(const Plan& plan, Space space) {
  switch (space) {
    case Space::kPrepared: return plan.prepared_bytes;
    case Space::kPersistent: return plan.persistent_bytes;
    case Space::kScratch: return plan.scratch_bytes;
  }
  return 0;
}

}  // namespace edgeattn::io
