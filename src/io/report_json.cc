#include <nlohmann/json.hpp>
#include <string>

#include "edgeattn/io.h"
#include "report.h"

namespace edgeattn::io {

namespace {

using Json = nlohmann::ordered_json;

/// What every object on a plan begins with.
Json plan_object(const Plan& plan) {
  return {{"shape", {plan.shape.batch, plan.spec.channels, plan.shape.height, plan.shape.width}},
          {"layout", to_string(plan.layout)},
          {"threads", plan.threads},
          {"isa", to_string(plan.isa)},
          {"tile", {{"bq", plan.query_tile}, {"bk", plan.key_block}}},
          {"operand_sets", plan.operand_sets}};
}

}  // namespace

Status plan_json(const Plan& plan, std::string& text) noexcept {
  return report(text, [&] {
    Json map = Json::array();
    for (std::size_t i = 0; i < plan.regions(); ++i) {
      const Region region = plan.region(i);
      map.push_back({{"name", region_label(region)},
                     {"space", to_string(region.space)},
                     {"offset", region.offset},
                     {"bytes", region.bytes},
                     {"first", to_string(region.first)},
                     {"last", to_string(region.last)}});
    }
    Json object = plan_object(plan);
    object.update({{"budget_reduced_keys", plan.budget_reduced_keys},
                   {"prepared_bytes", plan.prepared_bytes},
                   {"persistent_bytes", plan.persistent_bytes},
                   {"scratch_bytes", plan.scratch_bytes},
                   {"external_bytes", plan.external_bytes},
                   {"alignment", Plan::kAlignment},
                   {"map", map}});
    return object.dump() + "\n";
  });
}

Status bench_json(const BenchReport& bench, std::string& text) noexcept {
  return report(text, [&] {
    Json phases = Json::object();
    for (Phase phase : kRunPhases) phases[to_string(phase)] = bench.phase_ms[static_cast<std::size_t>(phase)];
    Json object = plan_object(bench.plan);
    object.update({{"reps", bench.reps},
                   {"best_ms", bench.best_ms},
                   {"median_ms", bench.median_ms},
                   {"gflop_naive", bench.gflop_naive()},
                   {"gflop_own", bench.gflop_own()},
                   {"gflops_own", bench.gflops_own()},
                   {"fma_peak_gflops", bench.fma_peak_gflops},
                   {"roofline_fraction", bench.roofline_fraction()},
                   {"phases_ms", phases}});
    return object.dump() + "\n";
  });
}

}  // namespace edgeattn::io
