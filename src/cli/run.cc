#include <cmath>
#include <cstdio>
#include <optional>
#include <vector>

#include "cli/bound_block.h"
#include "cli/check_writable.h"
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/feature_map.h"
#include "cli/not_finite.h"
#include "cli/places.h"
#include "cli/progress.h"
#include "cli/stopwatch.h"
#include "cli/text.h"
#include "cli/untold.h"
#include "edgeattn/io.h"
#include "io/duration.h"
#include "io/json_text.h"

namespace edgeattn::cli {
namespace {

struct Outcome {
  Plan plan;
  double bind_ms = 0;
  double run_ms = 0;
  std::optional<double> max_abs_error;
};

/// Plans, binds and runs the block; `values` is x, and then y.
Outcome run_block(const io::BlockWeights& weights, const Shape& shape, const RunOptions& options,
                  std::vector<float>& values) {
  const std::string context = *options.weights + ", block '" + weights.prefix + "': ";
  const PlannedBlock planned = plan_block(weights.spec, shape, options, context);
  const Progress progress;
  BoundBlock block(planned, weights, context);
  const Stopwatch watch;
  block.run(values.data(), values.data());
  return {.plan = planned.plan, .bind_ms = block.bind_ms(), .run_ms = watch.milliseconds(), .max_abs_error = {}};
}

double scale_of(const Spec& spec) {
  return spec.scale != 0 ? spec.scale : 1 / std::sqrt(static_cast<double>(spec.head_channels()));
}

std::string json_report(const Outcome& outcome, const io::BlockWeights& weights) {
  const Plan& plan = outcome.plan;
  const std::size_t shape[] = {plan.shape.batch, plan.spec.channels, plan.shape.height, plan.shape.width};
  const auto or_null = [](bool present, auto value) { return present ? io::json_value(value) : "null"; };
  io::JsonObject object;
  object.add_json("shape", io::json_array(shape))
      .add("layout", to_string(plan.layout))
      .add("threads", plan.threads)
      .add("isa", to_string(plan.isa))
      .add("precision", to_string(plan.precision))
      .add("gemm", plan.gemm_name)
      .add("norm", to_string(plan.spec.norm))
      .add_json("groups", or_null(plan.spec.norm == Norm::kGroup, plan.spec.groups))
      .add_json("eps", or_null(plan.spec.norm != Norm::kNone, plan.spec.eps))
      .add("heads", plan.spec.heads)
      .add("residual", plan.spec.residual)
      .add("rescale_output", plan.spec.rescale_output)
      .add("scale", scale_of(plan.spec))
      .add_json("assumed", assumed_json(weights.assumed, plan.spec))
      .add("prepared_bytes", plan.prepared_bytes)
      .add("persistent_bytes", plan.persistent_bytes)
      .add("scratch_bytes", plan.scratch_bytes)
      .add("bind_ms", outcome.bind_ms)
      .add("run_ms", outcome.run_ms);
  if (outcome.max_abs_error) object.add("max_abs_error", *outcome.max_abs_error);
  return object.text() + "\n";
}

std::string text_report(const Outcome& outcome, const io::BlockWeights& weights, const RunOptions& options) {
  const Plan& plan = outcome.plan;
  std::string text = "block   " + describe(weights) + "\n";
  text += "shape   " + describe(plan) + "\n";
  text += "memory  " + std::to_string(plan.prepared_bytes) + " bytes prepared, " +
          std::to_string(plan.persistent_bytes) + " persistent, " + std::to_string(plan.scratch_bytes) + " scratch\n";
  text += "time    " + io::duration_text(outcome.bind_ms) + " prepare and bind, " + io::duration_text(outcome.run_ms) + " run\n";
  if (outcome.max_abs_error)
    text += "error   " + significant(*outcome.max_abs_error, 3) + " at most, against " + *options.reference + "\n";
  return text + "output  " + *options.output + "\n";
}

/// One line on standard error if there is something to say of an output.
void warn_not_finite(const std::string& output, const NotFinite& found, const NotFinite& in_input, const Shape& shape) {
  if (found.pixels == 0) return;
  const std::string cause = in_input.images == 0 ? "" : "; the input is not in " + std::to_string(in_input.images);
  std::fprintf(stderr, "edgeattn: warning: %s: %s%s\n", one_line(output).c_str(), describe(found, shape).c_str(), cause.c_str());
}

}  // namespace

std::string run_command(const RunOptions& options) {
  const io::BlockWeights weights = read_weights(options);
  FeatureMap map = read_feature_map(options.input, options.tensor, "--tensor");
  const Layout layout = options.layout;
  const Shape shape = shape_of(map, layout, weights.spec.channels);
  std::optional<FeatureMap> reference;
  if (options.reference) {
    reference = read_feature_map(*options.reference, options.reference_tensor, "--reference-tensor");
    if (reference->shape != map.shape)
      throw Failure(reference->source + ": expected the shape of the input, " + describe_shape(map.shape) + ", got " +
                    describe_shape(reference->shape));
  }
  check_writable(*options.output);

  const NotFinite spoilt = count_not_finite(map.values, shape, layout, io::Dtype::kF32);
  Outcome outcome = run_block(weights, shape, options, map.values);
  if (reference) outcome.max_abs_error = max_abs_error(map.values, reference->values);
  check(io::write_safetensors(target_of(*options.output), "output", map.shape, map.values, options.output_dtype));
  warn_not_finite(*options.output, count_not_finite(map.values, shape, layout, options.output_dtype), spoilt, shape);
  return options.json ? json_report(outcome, weights) : text_report(outcome, weights, options);
}

}  // namespace edgeattn::cli
