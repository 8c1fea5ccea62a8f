#include <nlohmann/json.hpp>
#include <string>

#include "edgeattn/io.h"
#include "report.h"

namespace edgeattn::io {

Status plan_json(const Plan& plan, std::string& text) noexcept {
  using Json = nlohmann::ordered_json;
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
    const Json object = {
        {"shape", {plan.shape.batch, plan.spec.channels, plan.shape.height, plan.shape.width}},
        {"layout", to_string(plan.layout)},
        {"threads", plan.threads},
        {"isa", to_string(plan.isa)},
        {"tile", {{"bq", plan.query_tile}, {"bk", plan.key_block}}},
        {"budget_reduced_keys", plan.budget_reduced_keys},
        {"prepared_bytes", plan.prepared_bytes},
        {"persistent_bytes", plan.persistent_bytes},
        {"scratch_bytes", plan.scratch_bytes},
        {"external_bytes", plan.external_bytes},
        {"alignment", Plan::kAlignment},
        {"map", map},
    };
    return object.dump() + "\n";
  });
}

}  // namespace edgeattn::io
