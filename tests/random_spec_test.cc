#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>

#include "attention_term.h"
#include "harness.h"
#include "oracle.h"
#include "random_case.h"

/// Properties of whole blocks over random specs, from odd sizes to extreme numbers: the error bound of design.md section 6, exact
/// spans, and bits that do not depend on what memory held.
namespace edgeattn::test {
namespace {

struct Outcomes {
  double worst[kExtremes] = {};       ///< error as a part of the bound, by what is extreme
  std::size_t beyond = 0;             ///< cases beyond the bound, as rounding may make one of thousands
  std::size_t tied = 0;               ///< cases beyond the bound where large scores nearly tie
  std::size_t refused = 0, nans = 0;  ///< cases with weights that overflow, and with outputs that do
};

/// A part of what scratch takes without a budget, if that is enough.
void draw_budget(Case& c, Dice& dice) {
  Plan planned;
  REQUIRE_OK(plan(c.spec, c.shape, options_under_test(c.options), detect_machine(), gemm(), planned));
  if (!dice.one_in(3)) return;
  PlanOptions options = c.options;
  options.scratch_budget_bytes = planned.scratch_bytes * dice.between(20, 100) / 100;
  const Status status = plan(c.spec, c.shape, options_under_test(options), detect_machine(), gemm(), planned);
  if (status.ok()) {
    CHECK(planned.scratch_bytes <= options.scratch_budget_bytes);
    c.options = options;
  } else {
    CHECK_FAILS(status, StatusCode::kTooSmall, std::to_string(options.scratch_budget_bytes));
  }
}

/// Whether `prepare` takes the weights; if not, its error must name them, and a memory of one byte less is always too small.
bool prepares(const Case& c, const io::BlockWeights& weights) {
  std::size_t bytes = 0;
  REQUIRE_OK(prepared_bytes(c.spec, detect_machine(), gemm(), bytes, format_under_test()));
  const GuardedBytes memory(bytes);
  Prepared prepared;
  CHECK_FAILS(prepare(c.spec, weights.view(), detect_machine(), gemm(), memory.span().first(bytes - 1), prepared, format_under_test()), StatusCode::kTooSmall,
              std::to_string(bytes));
  const Status status = prepare(c.spec, weights.view(), detect_machine(), gemm(), memory.span(), prepared, format_under_test());
  CHECK(memory.margins_intact());
  if (!status.ok()) {
    CHECK(c.extreme == Extreme::kHugeWeights);
    CHECK_FAILS(status, StatusCode::kInvalidArgument, "weights: ");
    const bool fp16 = weights_are_fp16() && std::string_view(status.message()).find("overflows fp16") != std::string_view::npos;
    CHECK_FAILS(status, StatusCode::kInvalidArgument, fp16 ? "overflows fp16" : "overflows float32");
  }
  return status.ok();
}

void check_spans(TestBlock& block) {
  const auto persistent = block.persistent(), scratch = block.scratch();
  CHECK_FAILS(block.bind_with(persistent.first(persistent.size() - 1), scratch), StatusCode::kTooSmall, std::to_string(persistent.size()));
  CHECK_FAILS(block.bind_with(persistent, scratch.first(scratch.size() - 1)), StatusCode::kTooSmall, std::to_string(scratch.size()));
}

/// A pixel whose numbers overflow is NaN, in all channels.
void check_nans(const Case& c, const std::vector<float>& y) {
  const std::size_t channels = c.spec.channels, tokens = c.shape.tokens();
  const bool nchw = c.options.layout == Layout::kNchw;
  std::size_t torn = 0;
  for (std::size_t pixel = 0; pixel < c.shape.batch * tokens; ++pixel) {
    const float* const first = &y[pixel / tokens * channels * tokens + pixel % tokens * (nchw ? 1 : channels)];
    std::size_t nans = 0;
    for (std::size_t channel = 0; channel < channels; ++channel) nans += std::isnan(first[channel * (nchw ? tokens : 1)]) ? 1 : 0;
    torn += nans == 0 || nans == channels ? 0 : 1;
  }
  CHECK(torn == 0);
}

/// Blocks that run in turn on one scratch get the bits that each gets on its own.
void check_shared_scratch(TestBlock& a, TestBlock& b, const std::vector<float>& x, const std::vector<float>& expected,
                          const std::vector<float>& other_x) {
  const std::vector<float> other_expected = b.run(other_x);
  const auto shared = std::make_shared<GuardedBytes>(std::max(a.plan().scratch_bytes, b.plan().scratch_bytes));
  a.bind_to(shared);
  b.bind_to(shared);
  std::vector<float> y(x.size()), other_y(other_x.size());
  for (int turn = 0; turn < 2; ++turn) {
    REQUIRE_OK(a.block().run(x.data(), y.data()));
    CHECK(same_bits(y, expected));
    REQUIRE_OK(b.block().run(other_x.data(), other_y.data()));
    CHECK(same_bits(other_y, other_expected));
  }
}

/// What cases share.
struct Scene {
  Pool serial{pthreadpool_create(1)};  ///< runs all slots on the calling thread
  Pool pair{pthreadpool_create(2)};
  Outcomes outcomes;
  std::unique_ptr<TestBlock> neighbour;  ///< the last case's block, with its input
  std::vector<float> neighbour_x;
};

/// Reduced precision promises something of ordinary numbers whose scores are small enough, and are many enough for errors to even out.
void check_reduced_error(const Case& c, const io::BlockWeights& weights, const std::vector<float>& x, const std::vector<float>& y,
                         Outcomes& outcomes) {
  constexpr std::size_t kFew = 1024;
  if (c.extreme != Extreme::kNone) return;
  const Reference exact = reference(weights, c.shape, c.options.layout, x);
  const ReducedBounds bounds = reduced_bounds(precision());
  if (exact.largest_score > bounds.largest_score) return;
  const double excess = relative_rms_error(c.spec, x, y, exact.exact) / bounds.on_random_data;
  double& worst = outcomes.worst[static_cast<std::size_t>(c.extreme)];
  worst = std::max(worst, excess);
  CHECK_MESSAGE(excess <= (y.size() < kFew ? 2 : 1), "relative rms error is ", excess, " of the promise");
}

/// The bound compares two random errors, so a few cases may lie beyond it, but not far; where scores are so large that rounding
/// decides between near ties, what it may decide is allowed (docs/engine.md, Accuracy).
void check_error(const Case& c, const io::BlockWeights& weights, const std::vector<float>& x, const std::vector<float>& y,
                 Outcomes& outcomes) {
  constexpr double kLargeScore = 30;
  if (precision() != Precision::kFloat32) return check_reduced_error(c, weights, x, y, outcomes);
  const bool denormals =
      c.extreme == Extreme::kDenormalInput || c.extreme == Extreme::kDenormalWeights || c.extreme == Extreme::kTinyWeights;
  const Leniency leniency{.floor = denormals ? 0x1p-100 : 0, .nan = c.extreme == Extreme::kHugeWeights};
  const Reference exact = reference(weights, c.shape, c.options.layout, x);
  const ErrorBound strict = judge(exact, c.shape, x, y, leniency);
  double& worst = outcomes.worst[static_cast<std::size_t>(c.extreme)];
  worst = std::max(worst, strict.worst_excess);
  if (strict.worst_excess <= 1) return;
  if (exact.largest_score > kLargeScore) {
    const ErrorBound free = judge(reference(weights, c.shape, c.options.layout, x, true), c.shape, x, y, leniency);
    CHECK_MESSAGE(free.worst_excess <= 1, "error ", free.worst_error, " is ", free.worst_excess, " of what near ties allow");
    ++outcomes.tied;
  } else {
    CHECK_MESSAGE(strict.worst_excess <= 2, "error ", strict.worst_error, " is ", strict.worst_excess, " of the bound");
    ++outcomes.beyond;
  }
}

void check_case(const Case& c, Dice& dice, std::uint64_t stream, Scene& scene) {
  CAPTURE(describe(c));
  CAPTURE(stream);
  const io::BlockWeights weights = weights_of(c, dice, stream);
  const std::vector<float> x = input_of(c, dice);
  if (!prepares(c, weights)) {
    ++scene.outcomes.refused;
    return;
  }
  // Mostly without other threads: waiting for them takes longer than all else where processors are few or busy.
  auto block = std::make_unique<TestBlock>(weights, c.shape, c.options, 0, dice.one_in(5) ? scene.pair.get() : scene.serial.get());
  check_spans(*block);
  const std::vector<float> y = block->run(x);
  check_nans(c, y);
  check_error(c, weights, x, y, scene.outcomes);
  scene.outcomes.nans += std::any_of(y.begin(), y.end(), [](float value) { return std::isnan(value); }) ? 1 : 0;
  if (sample() && stream % 4 != 0) return;

  std::vector<float> in_place = x;
  block->run_in_place(in_place);
  CHECK(same_bits(in_place, y));
  if (scene.neighbour != nullptr) check_shared_scratch(*block, *scene.neighbour, x, y, scene.neighbour_x);
  scene.neighbour = std::move(block);
  scene.neighbour_x = x;
}

void print(const Outcomes& outcomes, std::size_t count) {
  std::printf("random specs: %zu cases, %zu refused, %zu with NaN, %zu beyond the bound, %zu more with near ties\n", count,
              outcomes.refused, outcomes.nans, outcomes.beyond, outcomes.tied);
  std::printf("worst error of the bound:");
  for (std::size_t i = 0; i < kExtremes; ++i)
    std::printf("%s %s %.2f", i > 0 ? "," : "", to_string(static_cast<Extreme>(i)), outcomes.worst[i]);
  std::printf("\n");
  std::fflush(stdout);
}

TEST_CASE("random specs keep the promises of a run") {
  const bool best = isa() == detect_machine().best_isa();
  const std::size_t count = cases().value_or(!sample() ? (best ? 2000 : 200) : best ? 100 : 30);
  Scene scene;
  std::size_t done = 0;
  for (std::uint64_t stream = first_case(); done < count || count == 0; ++stream) {
    Dice dice(stream);
    Case c = random_case(dice);
    draw_budget(c, dice);
    check_case(c, dice, stream, scene);
    if (++done % 1000 == 0 && count == 0) print(scene.outcomes, done);
  }
  print(scene.outcomes, done);
  CHECK(scene.outcomes.beyond <= 1 + done / 1000);
}

/// Rows that a random draw would rarely hit.
TEST_CASE("chosen specs stay within the error bound") {
  const auto gn = [](std::size_t channels, std::size_t groups) {
    Spec spec;
    spec.channels = channels;
    spec.groups = groups;
    return spec;
  };
  const std::size_t large = sample() ? 32 : 64;
  const Case rows[] = {
      {gn(1, 1), {1, 1, 1}, {}, 0},
      {gn(1, 1), {3, 1, 2}, {}, 0},
      {gn(64, 32), {2, 16, 16}, {.threads = 2}, 0},
      {gn(42, 2), {1, 8, 8}, {}, 0},                                  // groups of 21 channels
      {gn(28, 2), {1, 8, 8}, {.layout = Layout::kNhwc}, 0},           // 14
      {gn(36, 3), {1, 8, 8}, {}, 1e4},                                // 12
      {gn(96, 32), {1, 8, 8}, {.layout = Layout::kNhwc}, 1e4},        // 3
      {gn(32, 32), {1, 23, 23}, {.key_block = 32}, 0},                // 529 = 16·32 + 17
      {gn(32, 32), {1, 1, 257}, {.query_tile = 4}, 0},                // a lone last row
      {gn(32, 32), {1, 3, 11}, {.threads = 3, .query_tile = 32}, 0},  // 33 = 32 + 1
      {gn(512, 32), {1, 8, 8}, {.threads = 2}, 0},
      {gn(8, 4), {1, large, large}, {.threads = 2}, 0},
      // Scores of ±30 to ±300: rounding decides between near ties, in the naive formula as here (docs/engine.md, Accuracy).
      {gn(64, 8), {1, 9, 9}, {.threads = 2}, 0, 3},
      {gn(64, 8), {1, 9, 9}, {.threads = 2}, 0, 9},
      {gn(16, 8), {1, 9, 9}, {}, 0, 9},
      {gn(40, 8), {1, 25, 25}, {.threads = 2}, 0, 9},
      // Scores of 10⁸, of a mean that no norm takes away.
      {.spec = {.channels = 103, .norm = Norm::kNone, .heads = 103}, .shape = {3, 9, 9}, .options = {.threads = 3}, .mean = 1e4,
       .extreme = Extreme::kOffset},
  };
  Scene scene;
  std::uint64_t stream = 1'000'000;
  for (const Case& row : rows) {
    Dice dice(++stream);
    check_case(row, dice, stream, scene);
  }
  CHECK(scene.outcomes.beyond == 0);
}

}  // namespace
}  // namespace edgeattn::test
