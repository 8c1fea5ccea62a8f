#include "edgeattn/plan.h"

#include "cli/bound_block.h"
#include "cli/check_writable.h"
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/places.h"
#include "cli/text.h"
#include "edgeattn/io.h"

namespace edgeattn::cli {

std::string plan_command(const PlanCommandOptions& options) {
  if (options.output) check_writable(*options.output);
  const Spec spec = options.weights ? read_weights(options).spec : spec_without_weights(options);
  const Plan plan = plan_block(spec, options.shape, options, options.weights ? *options.weights + ": " : "").plan;

  std::string report;
  check(options.json ? io::plan_json(plan, report) : io::plan_text(plan, report));
  if (options.output) {
    std::string svg;
    check(io::plan_svg(plan, svg));
    check(io::write_text(target_of(*options.output), svg));
  }
  if (options.json) return report;
  return describe(plan) + "; " + describe(spec) + "\n\n" + report;
}

}  // namespace edgeattn::cli
