#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "cli/bound_block.h"
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/feature_map.h"
#include "cli/progress.h"
#include "cli/stopwatch.h"
#include "cli/text.h"
#include "edgeattn/io.h"
#include "io/duration.h"
#include "io/json_text.h"
#include "io/text_table.h"

namespace edgeattn::cli {
namespace {

constexpr std::size_t kLeastTrials = 5;
constexpr double kTimedMs = 300;

/// Where docs/precision.md bounds the error: scores up to ±largest_score.
struct Promise {
  Precision precision;
  double largest_score;
};
constexpr Promise kPromises[] = {{Precision::kBfloat16, 30}, {Precision::kInt8, 4}};

struct Pixel {
  std::size_t image = 0, row = 0, column = 0;
};

struct Errors {
  double max_abs = 0;  ///< NaN if there is one
  Pixel worst;         ///< where max_abs is
  double relative_rms = 0;
};

/// Runs at one precision, or why there are none.
struct Trial {
  Precision precision;
  std::string lacks;  ///< empty if there are some
  PlannedBlock planned;
  Errors errors;
  double run_ms = std::numeric_limits<double>::infinity();  ///< of the fastest

  [[nodiscard]] bool available() const { return lacks.empty(); }
  [[nodiscard]] bool within(double budget) const { return available() && errors.relative_rms <= budget; }
};

/// What every precision is tried on.
struct Subject {
  const io::BlockWeights& weights;
  Shape shape;
  Layout layout;
  const FeatureMap& input;
  io::ExactOutput exact;

  [[nodiscard]] std::string name() const { return input.source + ", block '" + weights.prefix + "': "; }
  [[nodiscard]] Pixel pixel_of(std::size_t index) const {
    const std::size_t channels = weights.spec.channels, tokens = shape.tokens(), place = index % (channels * tokens);
    const std::size_t token = layout == Layout::kNchw ? place % tokens : place / channels;
    return {.image = index / (channels * tokens), .row = token / shape.width, .column = token % shape.width};
  }
};

struct Report {
  const CheckOptions& options;
  const Subject& subject;
  std::vector<Trial> trials;
  std::vector<std::string> warnings;
  const Trial* fastest = nullptr;  ///< within the budget, if there is one

  [[nodiscard]] const Plan& plan() const { return std::ranges::find_if(trials, &Trial::available)->planned.plan; }
  /// What the trials are compared with.
  [[nodiscard]] const char* reference() const { return subject.weights.score_weight.empty() ? "unfolded" : "folded"; }
};

/// The attention term is what y adds to x/rescale_output, or all of y without residual.
Errors errors_of(const std::vector<float>& y, const Subject& subject) {
  const Spec& spec = subject.weights.spec;
  Errors errors;
  double squares = 0, term_squares = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double exact = subject.exact.y[i], error = std::fabs(y[i] - exact);
    const double term = exact - (spec.residual ? subject.input.values[i] / spec.rescale_output : 0);
    squares += error * error;
    term_squares += term * term;
    if (error <= errors.max_abs || std::isnan(errors.max_abs)) continue;
    errors.max_abs = error;
    errors.worst = subject.pixel_of(i);
  }
  errors.relative_rms = squares == 0 ? 0 : std::sqrt(squares / term_squares);
  return errors;
}

/// One trial for each precision, still without runs. Throws Failure if no precision has a plan.
std::vector<Trial> plan_trials(const Spec& spec, const Shape& shape, BlockOptions options, const std::string& context) {
  std::vector<Trial> trials;
  for (const Precision precision : {Precision::kFloat32, Precision::kBfloat16, Precision::kInt8}) {
    options.precision = precision;
    Trial& trial = trials.emplace_back(Trial{.precision = precision, .lacks = {}, .planned = {}, .errors = {}});
    try {
      trial.planned = plan_block(spec, shape, options, {});
    } catch (const Failure& failure) {
      trial.lacks = failure.what();
    }
  }
  if (std::ranges::none_of(trials, &Trial::available)) throw Failure(context + trials.front().lacks);
  return trials;
}

void run_trial(const Subject& subject, Trial& trial) {
  BoundBlock block(trial.planned, subject.weights, subject.name());
  const std::vector<float>& x = subject.input.values;
  std::vector<float> y(x.size());
  block.run(x.data(), y.data());
  trial.errors = errors_of(y, subject);
  const Stopwatch watch;
  for (std::size_t reps = 0; reps < kLeastTrials || watch.milliseconds() < kTimedMs; ++reps) {
    const Stopwatch rep;
    block.run(x.data(), y.data());
    trial.run_ms = std::min(trial.run_ms, rep.milliseconds());
  }
}

std::vector<std::string> warnings_of(const std::vector<Trial>& trials, double largest_score) {
  std::vector<std::string> warnings;
  for (const auto& [precision, promised] : kPromises)
    if (largest_score > promised && std::ranges::find(trials, precision, &Trial::precision)->available())
      warnings.push_back("scores reach " + significant(largest_score, 3) + ": beyond " + significant(promised, 3) +
                         " docs/precision.md promises nothing for " + to_string(precision));
  return warnings;
}

/// The fastest within the budget. Throws Failure if none of reduced precision is.
const Trial& fastest_within(double budget, const std::vector<Trial>& trials, const Subject& subject) {
  const Trial* fastest = nullptr;
  bool reduced = false;
  std::string seen;
  for (const Trial& trial : trials) {
    if (trial.precision != Precision::kFloat32)
      seen += std::string(seen.empty() ? "" : ", ") + to_string(trial.precision) + " " +
              (trial.available() ? "errs by " + significant(trial.errors.relative_rms, 3) : "is not available");
    if (!trial.within(budget)) continue;
    reduced = reduced || trial.precision != Precision::kFloat32;
    if (fastest == nullptr || trial.run_ms < fastest->run_ms) fastest = &trial;
  }
  if (!reduced)
    throw Failure(subject.name() + "expected a relative rms error of at most " + significant(budget, 3) +
                  " at reduced precision, but " + seen);
  return *fastest;
}

std::string trial_json(const Trial& trial) {
  io::JsonObject object;
  object.add("precision", to_string(trial.precision)).add("available", trial.available());
  if (!trial.available()) return object.add("reason", one_line(trial.lacks)).text();
  const auto& [image, row, column] = trial.errors.worst;
  return object.add("max_abs_error", trial.errors.max_abs)
      .add("relative_rms_error", trial.errors.relative_rms)
      .add_json("worst_pixel", io::JsonObject().add("image", image).add("row", row).add("column", column).text())
      .add("run_ms", trial.run_ms)
      .add("scratch_bytes", trial.planned.plan.scratch_bytes)
      .text();
}

std::string json_report(const Report& report) {
  const Plan& plan = report.plan();
  const std::size_t shape[] = {plan.shape.batch, plan.spec.channels, plan.shape.height, plan.shape.width};
  io::JsonObject object;
  object.add_json("shape", io::json_array(shape))
      .add("layout", to_string(plan.layout))
      .add("threads", plan.threads)
      .add("isa", to_string(plan.isa))
      .add("reference", report.reference())
      .add("largest_score", report.subject.exact.largest_score)
      .add_json("precisions", io::json_array(report.trials, trial_json))
      .add_json("warnings", io::json_array(report.warnings));
  if (report.fastest != nullptr)
    object.add("budget", *report.options.budget).add("fastest", to_string(report.fastest->precision));
  return object.text() + "\n";
}

io::Row<6> trial_row(const Trial& trial) {
  if (!trial.available()) return {to_string(trial.precision), "-", "-", "-", "-", "-"};
  const auto number = [](std::size_t value) { return std::to_string(value); };
  const Pixel& worst = trial.errors.worst;
  return {to_string(trial.precision),
          significant(trial.errors.relative_rms, 3),
          significant(trial.errors.max_abs, 3),
          number(worst.image) + ": " + number(worst.row) + "," + number(worst.column),
          io::duration_text(trial.run_ms),
          number(trial.planned.plan.scratch_bytes)};
}

std::string text_report(const Report& report) {
  std::string text = "block      " + describe(report.subject.weights) + "\n";
  text += "shape      " + describe_run(report.plan()) + "\n";
  text += "reference  the " + std::string(report.reference()) + " formula in float64; scores reach " +
          significant(report.subject.exact.largest_score, 3) + "\n\n";
  std::vector<io::Row<6>> rows = {{"precision", "relative rms", "max error", "image: row,column", "time", "scratch bytes"}};
  for (const Trial& trial : report.trials) rows.push_back(trial_row(trial));
  text += io::table<6>(rows, {false, true, true, true, true, true});
  std::string notes;
  for (const Trial& trial : report.trials)
    if (!trial.available()) notes += "missing    " + one_line(trial.lacks) + "\n";
  for (const std::string& warning : report.warnings) notes += "warning    " + warning + "\n";
  if (report.fastest != nullptr)
    notes += "fastest    " + std::string(to_string(report.fastest->precision)) + " of those that err by at most " +
             significant(*report.options.budget, 3) + "\n";
  return text + (notes.empty() ? "" : "\n" + notes);
}

}  // namespace

std::string check_command(const CheckOptions& options) {
  const io::BlockWeights weights = read_weights(options);
  const FeatureMap input = read_feature_map(options.input, options.tensor, "--tensor");
  Subject subject{.weights = weights, .shape = {}, .layout = options.layout, .input = input, .exact = {}};
  subject.shape = shape_of(input, subject.layout, weights.spec.channels);
  const std::string context = *options.weights + ", block '" + weights.prefix + "': ";
  Report report{.options = options,
                .subject = subject,
                .trials = plan_trials(weights.spec, subject.shape, options, context),
                .warnings = {}};

  const Progress progress;
  // The pool goes before the trials make theirs.
  check(io::exact_output(weights, subject.shape, subject.layout, input.values, make_pool(report.plan().threads).get(),
                         subject.exact),
        input.source + ": ");
  for (Trial& trial : report.trials)
    if (trial.available()) run_trial(subject, trial);
  report.warnings = warnings_of(report.trials, subject.exact.largest_score);
  if (options.budget) report.fastest = &fastest_within(*options.budget, report.trials, subject);
  return options.json ? json_report(report) : text_report(report);
}

}  // namespace edgeattn::cli
