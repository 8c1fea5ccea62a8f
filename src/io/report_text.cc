#include <string>
#include <vector>

#include "duration.h"
#include "edgeattn/io.h"
#include "report.h"
#include "text_table.h"

namespace edgeattn::io {
namespace {

std::string life(const Region& region) {
  if (region.first == region.last) return to_string(region.first);
  return std::string(to_string(region.first)) + " to " + to_string(region.last);
}

Row<6> region_row(const Region& region) {
  return {to_string(region.space),
          region.name,
          region.slot == Region::kShared ? "-" : std::to_string(region.slot),
          std::to_string(region.offset),
          std::to_string(region.bytes),
          life(region)};
}

}  // namespace

Status plan_text(const Plan& plan, std::string& text) noexcept {
  return report(text, [&] {
    std::vector<Row<6>> rows = {{"space", "name", "slot", "offset", "bytes", "life"}};
    for (std::size_t i = 0; i < plan.regions(); ++i) rows.push_back(region_row(plan.region(i)));
    for (Space space : kSpaces) {
      const std::size_t bytes = space_bytes(plan, space);
      rows.push_back({to_string(space), "total", "", "", std::to_string(bytes), human_bytes(bytes)});
    }
    return table<6>(rows, {false, false, true, true, true, false});
  });
}

Status bench_text(const BenchReport& bench, std::string& text) noexcept {
  return report(text, [&] {
    const double all = bench.phases_ms();
    std::vector<Row<3>> rows = {{"phase", "time", "%"}};
    const auto add = [&](const char* name, double ms) {
      rows.push_back({name, duration_text(ms, 4), fixed(all > 0 ? 100 * ms / all : 0, 1)});
    };
    for (Phase phase : kRunPhases) add(to_string(phase), bench.phase_ms[static_cast<std::size_t>(phase)]);
    add("total", all);
    return "best " + duration_text(bench.best_ms, 4) + ", median " + duration_text(bench.median_ms, 4) + " of " +
           std::to_string(bench.reps) + " runs\n" + fixed(bench.gflops_own(), 1) + " GFLOP/s of " +
           fixed(bench.fma_peak_gflops, 1) + " at the FMA peak: " + fixed(100 * bench.roofline_fraction(), 1) + " %\n\n" +
           table<3>(rows, {false, true, true});
  });
}

}  // namespace edgeattn::io
