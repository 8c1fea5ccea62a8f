#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "edgeattn/io.h"
#include "report.h"

namespace edgeattn::io {
namespace {

constexpr std::size_t kColumns = 6;
using Row = std::array<std::string, kColumns>;

constexpr bool kRightAligned[kColumns] = {false, false, true, true, true, false};

std::string life(const Region& region) {
  if (region.first == region.last) return to_string(region.first);
  return std::string(to_string(region.first)) + " to " + to_string(region.last);
}

Row region_row(const Region& region) {
  return {to_string(region.space),
          region.name,
          region.slot == Region::kShared ? "-" : std::to_string(region.slot),
          std::to_string(region.offset),
          std::to_string(region.bytes),
          life(region)};
}

std::string table(const std::vector<Row>& rows) {
  std::array<std::size_t, kColumns> widths{};
  for (const Row& row : rows)
    for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < kColumns; ++i) {
      const std::string padding(widths[i] - row[i].size(), ' ');
      if (kRightAligned[i]) text += padding + row[i];
      else text += row[i] + (i + 1 < kColumns ? padding : "");
      text += i + 1 < kColumns ? "  " : "\n";
    }
  }
  return text;
}

}  // namespace

Status plan_text(const Plan& plan, std::string& text) noexcept {
  return report(text, [&] {
    std::vector<Row> rows = {{"space", "name", "slot", "offset", "bytes", "life"}};
    for (std::size_t i = 0; i < plan.regions(); ++i) rows.push_back(region_row(plan.region(i)));
    for (Space space : kSpaces) {
      const std::size_t bytes = space_bytes(plan, space);
      rows.push_back({to_string(space), "total", "", "", std::to_string(bytes), human_bytes(bytes)});
    }
    return table(rows);
  });
}

}  // namespace edgeattn::io
