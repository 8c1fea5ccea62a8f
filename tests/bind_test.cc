#include <limits>
#include <algorithm>
#include <string_view>

#include "harness.h"

namespace edgeattn::test {
namespace {

const Spec kSpec{.channels = 32};
const Shape kShape{1, 6, 7};

/// A plan, its memory and its prepared weights, ready to be bound wrongly.
struct Parts {
  explicit Parts(const Spec& spec = kSpec) {
    REQUIRE_OK(edgeattn::plan(spec, kShape, options_under_test({.threads = 2}), detect_machine(), gemm(), plan));
    memory = std::make_unique<AlignedBytes>(plan.prepared_bytes + 64);
    persistent = std::make_unique<AlignedBytes>(plan.persistent_bytes + 64);
    scratch = std::make_unique<AlignedBytes>(plan.scratch_bytes + 64);
    REQUIRE_OK(prepare(spec, random_weights(spec, 21).view(), detect_machine(), gemm(),
                       {memory->data(), plan.prepared_bytes}, prepared, format_under_test()));
  }

  Status bind_with(std::size_t persistent_bytes, std::size_t scratch_bytes, std::size_t shift = 0) {
    Block block;
    return bind(plan, prepared, {persistent->data() + shift, persistent_bytes}, {scratch->data(), scratch_bytes},
                nullptr, block);
  }

  Plan plan;
  Prepared prepared;
  std::unique_ptr<AlignedBytes> memory, persistent, scratch;
};

TEST_CASE("spans must have every byte and the alignment") {
  Parts parts;
  const std::size_t persistent = parts.plan.persistent_bytes, scratch = parts.plan.scratch_bytes;
  REQUIRE_OK(parts.bind_with(persistent, scratch));
  CHECK_FAILS(parts.bind_with(persistent - 1, scratch), StatusCode::kTooSmall, "persistent");
  CHECK_FAILS(parts.bind_with(persistent - 1, scratch), StatusCode::kTooSmall, std::to_string(persistent - 1));
  CHECK_FAILS(parts.bind_with(persistent, scratch - 1), StatusCode::kTooSmall, "scratch");
  CHECK_FAILS(parts.bind_with(persistent, scratch - 1), StatusCode::kTooSmall, std::to_string(scratch));
  CHECK_FAILS(parts.bind_with(persistent, scratch, 4), StatusCode::kInvalidArgument, "aligned to 64");
  Prepared prepared;
  const io::BlockWeights weights = random_weights(kSpec, 21);
  const std::size_t bytes = parts.plan.prepared_bytes;
  CHECK_FAILS(prepare(kSpec, weights.view(), detect_machine(), gemm(), {parts.memory->data(), bytes - 1}, prepared, format_under_test()),
              StatusCode::kTooSmall, "prepared");
  CHECK_FAILS(prepare(kSpec, weights.view(), detect_machine(), gemm(), {parts.memory->data() + 8, bytes}, prepared, format_under_test()),
              StatusCode::kInvalidArgument, "aligned to 64");
  std::size_t asked = 0;
  REQUIRE_OK(prepared_bytes(kSpec, detect_machine(), gemm(), asked, format_under_test()));
  CHECK(asked == bytes);
}

TEST_CASE("what does not belong together is not bound") {
  Parts parts;
  Parts other(Spec{.channels = 32, .eps = 1e-6});
  Block block;
  const std::span<std::byte> persistent(parts.persistent->data(), parts.plan.persistent_bytes);
  const std::span<std::byte> scratch(parts.scratch->data(), parts.plan.scratch_bytes);
  CHECK_FAILS(bind(parts.plan, other.prepared, persistent, scratch, nullptr, block), StatusCode::kMismatch, "spec");
  CHECK_FAILS(bind(Plan{}, parts.prepared, persistent, scratch, nullptr, block), StatusCode::kInvalidArgument, "plan");
  CHECK_FAILS(bind(parts.plan, Prepared{}, persistent, scratch, nullptr, block), StatusCode::kInvalidArgument, "prepared");
  Plan foreign = parts.plan;
  foreign.machine.avx512 = !foreign.machine.avx512;
  CHECK_FAILS(bind(foreign, parts.prepared, persistent, scratch, nullptr, block), StatusCode::kMismatch, "processor");
  if (precision() != Precision::kFloat32) return;  // whose products are no library's
  foreign = parts.plan;
  foreign.gemm_name = "another";
  CHECK_FAILS(bind(foreign, parts.prepared, persistent, scratch, nullptr, block), StatusCode::kMismatch, "'another'");
}

TEST_CASE("run refuses bad buffers and leaves y alone") {
  TestBlock block(random_weights(kSpec, 22), kShape, {});
  const std::size_t count = 32 * kShape.tokens();
  std::vector<float> memory(2 * count + 8, 7.0f);
  float* const x = memory.data();
  float* const y = x + count;
  CHECK_FAILS(block.block().run(nullptr, y), StatusCode::kInvalidArgument, "x is null");
  CHECK_FAILS(block.block().run(x, nullptr), StatusCode::kInvalidArgument, "y is null");
  CHECK_FAILS(block.block().run(x, y - 1), StatusCode::kInvalidArgument, "overlap");
  CHECK_FAILS(block.block().run(y - 1, x), StatusCode::kInvalidArgument, "overlap");
  const auto odd = [](float* p) { return reinterpret_cast<float*>(reinterpret_cast<char*>(p) + 2); };
  CHECK_FAILS(block.block().run(odd(x), y), StatusCode::kInvalidArgument, "x is not aligned");
  CHECK_FAILS(block.block().run(x, odd(y)), StatusCode::kInvalidArgument, "y is not aligned");
  CHECK_FAILS(Block{}.run(x, y), StatusCode::kInvalidArgument, "not bound");
  CHECK(std::all_of(memory.begin(), memory.end(), [](float value) { return value == 7.0f; }));
  REQUIRE_OK(block.block().run(x, y));
}

TEST_CASE("weights that are missing, not finite or overflow are named") {
  struct Row {
    const char* name;
    void (*spoil)(io::BlockWeights&);
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  static const float bad = nan;
  const Row rows[] = {
      {"norm.weight is missing", [](io::BlockWeights& w) { w.norm_weight.clear(); }},
      {"norm.bias", [](io::BlockWeights& w) { w.norm_bias[3] = bad; }},
      {"norm.running_var is negative at index 5", [](io::BlockWeights& w) { w.running_var[5] = -1; }},
      {"norm.running_mean", [](io::BlockWeights& w) { w.running_mean[0] = bad; }},
      {"to_qkv.weight is not finite at index 9", [](io::BlockWeights& w) { w.qkv_weight[9] = bad; }},
      {"to_qkv.bias", [](io::BlockWeights& w) { w.qkv_bias[95] = bad; }},
      {"to_out.weight", [](io::BlockWeights& w) { w.out_weight.back() = std::numeric_limits<float>::infinity(); }},
      {"to_out.bias", [](io::BlockWeights& w) { w.out_bias[1] = bad; }},
      {"q and k) overflows", [](io::BlockWeights& w) { for (float& v : w.qkv_weight) v *= 1e25f; }},
      {"to_out.weight overflows", [](io::BlockWeights& w) {
         for (float& v : w.out_weight) v *= 3e38f / 2;
         for (std::size_t i = 2048; i < 3072; ++i) w.qkv_weight[i] *= 1e10f;
       }},
  };
  const Spec spec{.channels = 32, .norm = Norm::kBatch};
  std::size_t bytes = 0;
  REQUIRE_OK(prepared_bytes(spec, detect_machine(), gemm(), bytes, format_under_test()));
  AlignedBytes memory(bytes);
  for (const Row& row : rows) {
    CAPTURE(row.name);
    io::BlockWeights weights = random_weights(spec, 23);
    row.spoil(weights);
    Prepared prepared;
    CHECK_FAILS(prepare(spec, weights.view(), detect_machine(), gemm(), {memory.data(), bytes}, prepared, format_under_test()),
                StatusCode::kInvalidArgument, row.name);
  }
}

TEST_CASE("folded weights run to the same bits as those they were folded from") {
  const Spec specs[] = {{.channels = 32},
                        {.channels = 37, .norm = Norm::kInstance},
                        {.channels = 65, .norm = Norm::kBatch, .scale = 0.3},
                        {.channels = 3, .norm = Norm::kNone}};
  for (const Spec& spec : specs) {
    CAPTURE(spec.channels);
    const io::BlockWeights weights = random_weights(spec, 26);
    io::BlockWeights folded;
    REQUIRE_OK(io::fold_block(weights, detect_machine(), folded));
    CHECK(folded.qkv_weight.empty());
    std::mt19937_64 engine = random_engine(26);
    const std::vector<float> x = normal_values(engine, spec.channels * kShape.tokens());
    TestBlock unfolded_block(weights, kShape, {}), folded_block(folded, kShape, {});
    CHECK(same_bits(unfolded_block.run(x), folded_block.run(x)));
  }
}

TEST_CASE("folding says what it cannot fold") {
  const io::BlockWeights weights = random_weights(kSpec, 27);
  io::BlockWeights folded, again;
  REQUIRE_OK(io::fold_block(weights, detect_machine(), folded));
  CHECK_FAILS(io::fold_block(folded, detect_machine(), again), StatusCode::kInvalidArgument, "folded already");
  CHECK_FAILS(io::fold_block(io::BlockWeights{}, detect_machine(), again), StatusCode::kInvalidArgument, "channels");

  const FoldedSpans spans{folded.score_weight, folded.score_bias, folded.out_weight, folded.out_bias};
  const auto fold_with = [&](auto change) {
    FoldedSpans changed = spans;
    change(changed);
    return fold(kSpec, weights.view(), detect_machine(), changed);
  };
  REQUIRE_OK(fold_with([](FoldedSpans&) {}));
  CHECK_FAILS(fold_with([](FoldedSpans& s) { s.score_weight = s.score_weight.first(1023); }), StatusCode::kTooSmall,
              "score_weight span is too small: 1024 values required, 1023 given");
  CHECK_FAILS(fold_with([](FoldedSpans& s) { s.score_bias = {}; }), StatusCode::kTooSmall, "score_bias");
  CHECK_FAILS(fold_with([](FoldedSpans& s) { s.out_weight = {}; }), StatusCode::kTooSmall, "out_weight");
  CHECK_FAILS(fold_with([](FoldedSpans& s) { s.out_bias = s.out_bias.first(31); }), StatusCode::kTooSmall, "out_bias");

  std::size_t bytes = 0;
  REQUIRE_OK(prepared_bytes(kSpec, detect_machine(), gemm(), bytes, format_under_test()));
  AlignedBytes memory(bytes);
  const auto prepare_with = [&](auto change) {
    Weights changed = folded.view();
    change(changed);
    Prepared prepared;
    return prepare(kSpec, changed, detect_machine(), gemm(), {memory.data(), bytes}, prepared, format_under_test());
  };
  REQUIRE_OK(prepare_with([](Weights&) {}));
  REQUIRE_OK(prepare_with([](Weights& w) { w.score_bias = w.out_bias = nullptr; }));
  CHECK_FAILS(prepare_with([](Weights& w) { w.out_weight = nullptr; }), StatusCode::kInvalidArgument, "out.weight is missing");
  CHECK_FAILS(prepare_with([&](Weights& w) { w.qkv_weight = weights.qkv_weight.data(); }), StatusCode::kInvalidArgument,
              "to_qkv.weight beside score.weight");
  folded.score_weight[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK_FAILS(prepare_with([](Weights&) {}), StatusCode::kInvalidArgument, "score.weight is not finite at index 5");
}

TEST_CASE("blocks of several shapes share prepared weights and scratch") {
  Parts parts;
  Plan larger;
  REQUIRE_OK(plan(kSpec, {2, 9, 10}, options_under_test(), detect_machine(), gemm(), larger));
  AlignedBytes persistent(larger.persistent_bytes);
  AlignedBytes scratch(std::max(larger.scratch_bytes, parts.plan.scratch_bytes));
  Block small_block, large_block;
  REQUIRE_OK(bind(parts.plan, parts.prepared, {parts.persistent->data(), parts.plan.persistent_bytes},
                  {scratch.data(), scratch.size()}, nullptr, small_block));
  REQUIRE_OK(bind(larger, parts.prepared, {persistent.data(), persistent.size()}, {scratch.data(), scratch.size()},
                  nullptr, large_block));
  std::mt19937_64 engine = random_engine(24);
  const std::vector<float> small_x = normal_values(engine, 32 * kShape.tokens());
  const std::vector<float> large_x = normal_values(engine, 2 * 32 * 90);
  std::vector<float> first(small_x.size()), again(small_x.size()), large_y(large_x.size());
  REQUIRE_OK(small_block.run(small_x.data(), first.data()));
  REQUIRE_OK(large_block.run(large_x.data(), large_y.data()));
  REQUIRE_OK(small_block.run(small_x.data(), again.data()));
  CHECK(same_bits(first, again));
  TestBlock alone(random_weights(kSpec, 21), kShape, {});
  CHECK(same_bits(alone.run(small_x), first));
}

TEST_CASE("a profile has time in every phase and changes no bits") {
  TestBlock block(random_weights(kSpec, 25), kShape, {.threads = 2});
  std::mt19937_64 engine = random_engine(25);
  const std::vector<float> x = normal_values(engine, 32 * kShape.tokens());
  std::vector<float> y(x.size());
  Profile profile;
  REQUIRE_OK(block.block().run(x.data(), y.data(), &profile));
  CHECK(same_bits(y, block.run(x)));
  CHECK(profile.seconds[static_cast<std::size_t>(Phase::kBind)] == 0);
  for (std::size_t phase = 1; phase < kPhases; ++phase) CHECK(profile.seconds[phase] > 0);
}

}  // namespace
}  // namespace edgeattn::test
