#include "edgeattn/plan.h"

#include "cli/command.h"
#include "cli/failure.h"
#include "cli/text.h"
#include "edgeattn/io.h"

namespace edgeattn::cli {
namespace {

Spec spec_of(const PlanCommandOptions& options, const ShapeOption& shape) {
  if (!options.weights) return spec_without_weights(options, shape.channels);
  const io::BlockWeights weights = read_weights(options);
  if (weights.spec.channels != shape.channels)
    throw Failure(*options.weights + ", block '" + weights.prefix + "': has " + std::to_string(weights.spec.channels) +
                  " channels, but --shape " + options.shape + " has " + std::to_string(shape.channels));
  return weights.spec;
}

}  // namespace

std::string plan_command(const PlanCommandOptions& options) {
  const ShapeOption shape = parse_shape(options.shape);
  const Spec spec = spec_of(options, shape);
  const Machine machine = detect_machine();
  Gemm gemm;
  check(gemm_traits(machine, gemm));
  Plan plan;
  check(edgeattn::plan(spec, shape.shape, plan_options(options, machine), machine, gemm, plan),
        options.weights ? *options.weights + ": " : "");

  std::string report;
  check(options.json ? io::plan_json(plan, report) : io::plan_text(plan, report));
  if (options.svg) {
    std::string svg;
    check(io::plan_svg(plan, svg));
    check(io::write_text(*options.svg, svg));
  }
  if (options.json) return report;
  return describe(plan) + "; " + describe_norm(spec) + "\n\n" + report;
}

}  // namespace edgeattn::cli
