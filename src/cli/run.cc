#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <system_error>

#include "cli/command.h"
#include "cli/failure.h"
#include "cli/feature_map.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "edgeattn/block.h"
#include "edgeattn/io.h"

namespace edgeattn::cli {
namespace {

struct Free {
  void operator()(std::byte* pointer) const noexcept { std::free(pointer); }
};

/// Memory of the plan's alignment.
class Span {
 public:
  Span(const char* name, std::size_t bytes) : bytes_(bytes) {
    const std::size_t whole = (bytes / Plan::kAlignment + 1) * Plan::kAlignment;
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(Plan::kAlignment, whole)));
    if (memory_ == nullptr) throw Failure("no memory for " + std::to_string(bytes) + " bytes of " + name);
  }
  [[nodiscard]] std::span<std::byte> get() const noexcept { return {memory_.get(), bytes_}; }

 private:
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t bytes_;
};

struct DestroyPool {
  void operator()(pthreadpool_t pool) const noexcept { pthreadpool_destroy(pool); }
};
using Pool = std::unique_ptr<pthreadpool, DestroyPool>;

/// No pool for one thread: run then uses the calling thread only.
Pool make_pool(std::size_t threads) {
  if (threads == 1) return {};
  Pool pool(pthreadpool_create(threads));
  if (pool == nullptr) throw Failure("cannot start " + std::to_string(threads) + " threads");
  return pool;
}

/// Finds out before the work, not after it, that the output cannot be written.
void check_writable(const std::string& output) {
  namespace fs = std::filesystem;
  const auto fail = [&](const std::string& reason) { throw Failure(output + ": cannot write the output: " + reason); };
  const fs::path path(output);
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status) || !path.has_filename()) fail("it is a directory, expected a file");
  const bool in_place = fs::exists(status) && !fs::is_regular_file(status);
  const fs::path target = in_place ? path : path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (!in_place && !fs::is_directory(target, error)) fail("'" + target.string() + "' is no directory");
  if (access(target.c_str(), in_place ? W_OK : W_OK | X_OK) != 0)
    fail("'" + target.string() + "': " + std::generic_category().message(errno));
}

struct Outcome {
  Plan plan;
  double bind_ms = 0;
  double run_ms = 0;
  std::optional<double> max_abs_error;
};

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

/// Plans, binds and runs the block; `values` is x, and then y.
Outcome run_block(const io::BlockWeights& weights, const Shape& shape, const RunOptions& options,
                  std::vector<float>& values) {
  const std::string block = *options.weights + ", block '" + weights.prefix + "': ";
  const Machine machine = detect_machine();
  Gemm gemm;
  check(gemm_traits(machine, gemm));
  Outcome outcome;
  check(plan(weights.spec, shape, plan_options(options, machine), machine, gemm, outcome.plan), block);

  const Span prepared_span("prepared weights", outcome.plan.prepared_bytes);
  const Span persistent_span("persistent memory", outcome.plan.persistent_bytes);
  const Span scratch_span("scratch", outcome.plan.scratch_bytes);
  const Pool pool = make_pool(outcome.plan.threads);

  const Progress progress;
  const auto bind_start = std::chrono::steady_clock::now();
  Prepared prepared;
  Block bound;
  check(prepare(weights.spec, weights.view(), machine, gemm, prepared_span.get(), prepared), block);
  check(edgeattn::bind(outcome.plan, prepared, persistent_span.get(), scratch_span.get(), pool.get(), bound), block);
  outcome.bind_ms = milliseconds_since(bind_start);

  const auto run_start = std::chrono::steady_clock::now();
  check(bound.run(values.data(), values.data()), block);
  outcome.run_ms = milliseconds_since(run_start);
  return outcome;
}

std::string json_report(const Outcome& outcome) {
  const Plan& plan = outcome.plan;
  nlohmann::ordered_json object = {
      {"shape", {plan.shape.batch, plan.spec.channels, plan.shape.height, plan.shape.width}},
      {"layout", to_string(plan.layout)},
      {"threads", plan.threads},
      {"isa", to_string(plan.isa)},
      {"norm", to_string(plan.spec.norm)},
      {"groups", plan.spec.norm == Norm::kGroup ? nlohmann::ordered_json(plan.spec.groups) : nullptr},
      {"eps", plan.spec.norm != Norm::kNone ? nlohmann::ordered_json(plan.spec.eps) : nullptr},
      {"prepared_bytes", plan.prepared_bytes},
      {"persistent_bytes", plan.persistent_bytes},
      {"scratch_bytes", plan.scratch_bytes},
      {"bind_ms", outcome.bind_ms},
      {"run_ms", outcome.run_ms},
  };
  if (outcome.max_abs_error) object["max_abs_error"] = *outcome.max_abs_error;
  return object.dump() + "\n";
}

std::string text_report(const Outcome& outcome, const io::BlockWeights& weights, const RunOptions& options) {
  const Plan& plan = outcome.plan;
  const std::string name = weights.prefix.empty() ? "(no prefix)" : "'" + weights.prefix + "'";
  std::string text = "block   " + name + ", " + weights.style + ", " + describe_norm(plan.spec) + "\n";
  text += "shape   " + describe(plan) + "\n";
  text += "memory  " + std::to_string(plan.prepared_bytes) + " bytes prepared, " +
          std::to_string(plan.persistent_bytes) + " persistent, " + std::to_string(plan.scratch_bytes) + " scratch\n";
  text += "time    " + significant(outcome.bind_ms, 4) + " ms prepare and bind, " + significant(outcome.run_ms, 4) +
          " ms run\n";
  if (outcome.max_abs_error)
    text += "error   " + significant(*outcome.max_abs_error, 3) + " at most, against " + *options.reference + "\n";
  return text + "output  " + options.output + "\n";
}

}  // namespace

std::string run_command(const RunOptions& options) {
  const io::BlockWeights weights = read_weights(options);
  FeatureMap map = read_feature_map(options.input, options.tensor, "--tensor");
  const Layout layout = plan_options(options, {}).layout;
  const Shape shape = shape_of(map, layout, weights.spec.channels);
  std::optional<FeatureMap> reference;
  if (options.reference) {
    reference = read_feature_map(*options.reference, options.reference_tensor, "--reference-tensor");
    if (reference->shape != map.shape)
      throw Failure(reference->source + ": expected the shape of the input, " + describe_shape(map.shape) + ", got " +
                    describe_shape(reference->shape));
  }
  check_writable(options.output);

  Outcome outcome = run_block(weights, shape, options, map.values);
  if (reference) outcome.max_abs_error = max_abs_error(map.values, reference->values);
  check(io::write_safetensors(options.output, "output", map.shape, map.values));
  return options.json ? json_report(outcome) : text_report(outcome, weights, options);
}

}  // namespace edgeattn::cli
