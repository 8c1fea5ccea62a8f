#include <string>
#include <vector>

#include "edgeattn/io.h"
#include "json_text.h"
#include "report.h"

namespace edgeattn::io {

namespace {

/// What every object on a plan begins with.
JsonObject plan_object(const Plan& plan) {
  const std::size_t shape[] = {plan.shape.batch, plan.spec.channels, plan.shape.height, plan.shape.width};
  return JsonObject()
      .add_json("shape", json_array(shape))
      .add("layout", to_string(plan.layout))
      .add("threads", plan.threads)
      .add("isa", to_string(plan.isa))
      .add("precision", to_string(plan.precision))
      .add("gemm", plan.gemm_name)
      .add_json("tile", JsonObject().add("bq", plan.query_tile).add("bk", plan.key_block).text())
      .add("operand_sets", plan.operand_sets);
}

std::string region_json(const Region& region) {
  return JsonObject()
      .add("name", region_label(region))
      .add("space", to_string(region.space))
      .add("offset", region.offset)
      .add("bytes", region.bytes)
      .add("first", to_string(region.first))
      .add("last", to_string(region.last))
      .text();
}

}  // namespace

Status plan_json(const Plan& plan, std::string& text) noexcept {
  return report(text, [&] {
    std::vector<Region> map;
    for (std::size_t i = 0; i < plan.regions(); ++i) map.push_back(plan.region(i));
    return plan_object(plan)
               .add("budget_reduced_keys", plan.budget_reduced_keys)
               .add("prepared_bytes", plan.prepared_bytes)
               .add("persistent_bytes", plan.persistent_bytes)
               .add("scratch_bytes", plan.scratch_bytes)
               .add("external_bytes", plan.external_bytes)
               .add("alignment", Plan::kAlignment)
               .add_json("map", json_array(map, region_json))
               .text() +
           "\n";
  });
}

Status bench_json(const BenchReport& bench, std::string& text) noexcept {
  return report(text, [&] {
    JsonObject phases;
    for (Phase phase : kRunPhases) phases.add(to_string(phase), bench.phase_ms[static_cast<std::size_t>(phase)]);
    return plan_object(bench.plan)
               .add("reps", bench.reps)
               .add("best_ms", bench.best_ms)
               .add("median_ms", bench.median_ms)
               .add("gflop_naive", bench.gflop_naive())
               .add("gflop_own", bench.gflop_own())
               .add("gflops_own", bench.gflops_own())
               .add("fma_peak_gflops", bench.fma_peak_gflops)
               .add("roofline_fraction", bench.roofline_fraction())
               .add_json("phases_ms", phases.text())
               .text() +
           "\n";
  });
}

}  // namespace edgeattn::io
