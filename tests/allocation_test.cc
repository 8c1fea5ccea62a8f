#include <cstdio>

#include "counted_malloc.h"
#include "edgeattn/edgeattn.h"
#include "edgeattn/tensor.h"
#include "harness.h"

namespace edgeattn::test {
namespace {

TEST_CASE("what the first probe keeps for the process") {
  const Machine machine = detect_machine();
  Gemm traits;
  const Counts before = count();
  REQUIRE_OK(gemm_traits(machine, traits));
  const Counts first = count();
  REQUIRE_OK(gemm_traits(machine, traits));
  const Counts second = count();
  const long kept_blocks = (first.allocations - before.allocations) - (first.releases - before.releases);
  std::printf("%s and cpuinfo keep %ld blocks of %ld bytes in all for the life of the process\n", traits.name, kept_blocks,
              first.live_bytes - before.live_bytes);
  CHECK(kept_blocks >= 0);
  CHECK(kept_blocks <= 64);
  CHECK(second.live_bytes == first.live_bytes);
}

struct Row {
  Spec spec;
  Shape shape;
  Layout layout;
  std::size_t threads;
};

const Row kRows[] = {
    {{.channels = 64}, {2, 16, 16}, Layout::kNchw, 1},
    {{.channels = 64}, {2, 16, 16}, Layout::kNchw, 2},
    {{.channels = 24, .groups = 3}, {1, 25, 25}, Layout::kNhwc, 2},
    {{.channels = 20, .norm = Norm::kNone}, {1, 5, 5}, Layout::kNchw, 2},
    {{.channels = 48, .norm = Norm::kBatch, .heads = 3}, {2, 16, 17}, Layout::kNchw, 2},
};

TEST_CASE("plan, prepare and bind leave nothing behind, and runs allocate nothing") {
  for (const Row& row : kRows) {
    const io::BlockWeights weights = random_weights(row.spec, 41);
    const Machine machine = detect_machine();
    const Pool pool = make_pool(row.threads);
    std::mt19937_64 engine = random_engine(41);
    std::vector<float> x = normal_values(engine, row.shape.batch * row.spec.channels * row.shape.tokens());
    std::vector<float> y(x.size());
    const PlanOptions options = options_under_test({.layout = row.layout, .threads = row.threads});
    const Gemm& traits = gemm();

    const Counts start = count();
    Plan planned;
    REQUIRE_OK(plan(row.spec, row.shape, options, machine, traits, planned));
    CHECK(count().live_bytes == start.live_bytes);
    CHECK(planned.external_bytes == 0);

    AlignedBytes memory(planned.prepared_bytes), persistent(planned.persistent_bytes), scratch(planned.scratch_bytes);
    const Counts prepared_start = count();
    Prepared prepared;
    REQUIRE_OK(prepare(row.spec, weights.view(), machine, traits, {memory.data(), memory.size()}, prepared, format_under_test()));
    const Counts bind_start = count();
    CHECK(bind_start.live_bytes == prepared_start.live_bytes);
    Block block;
    REQUIRE_OK(bind(planned, prepared, {persistent.data(), persistent.size()}, {scratch.data(), scratch.size()}, pool.get(), block));
    const Counts run_start = count();
    CHECK(run_start.allocations == bind_start.allocations);
    CHECK(run_start.releases == bind_start.releases);

    bool ok = true;
    Profile profile;
    for (int i = 0; i < (sample() ? 12 : 1000); ++i)
      ok = block.run(x.data(), i % 2 == 0 ? y.data() : x.data(), i % 3 == 0 ? &profile : nullptr).ok() && ok;
    x[5] = __builtin_nanf("");
    ok = block.run(x.data(), y.data()).ok() && ok;
    const Counts run_end = count();
    CHECK(ok);
    CHECK(run_end.allocations == run_start.allocations);
    CHECK(run_end.releases == run_start.releases);
  }
}

TEST_CASE("C: planning, preparing and binding leave nothing behind, and runs allocate nothing") {
  constexpr std::size_t kChannels = 32, kSide = 8;
  const io::BlockWeights random = random_weights({.channels = kChannels}, 42);
  const Weights view = random.view();
  auto spec = sized<edgeattn_spec>();
  spec.channels = kChannels;
  spec.eps = 1e-5;
  const edgeattn_shape shape{.size = sizeof shape, .batch = 1, .height = kSide, .width = kSide};
  auto options = sized<edgeattn_options>();
  options.threads = 2;
  options.isa = static_cast<edgeattn_isa>(isa());
  auto weights = sized<edgeattn_weights>();
  weights.norm_weight = view.norm_weight;
  weights.norm_bias = view.norm_bias;
  weights.qkv_weight = view.qkv_weight;
  weights.out_weight = view.out_weight;
  std::vector<float> x(kChannels * kSide * kSide, 1.0f);
  const Pool pool = make_pool(2);
  edgeattn_plan* plan = nullptr;
  auto info = sized<edgeattn_plan_info>();
  const edgeattn_prepared* prepared = nullptr;
  edgeattn_block* block = nullptr;
  AlignedBytes plan_memory(edgeattn_plan_bytes());
  (void)gemm();  // what the first probe keeps is counted above

  const Counts start = count();
  REQUIRE(edgeattn_make_plan(plan_memory.data(), plan_memory.size(), &spec, &shape, &options, &plan, nullptr) == EDGEATTN_OK);
  CHECK(count().live_bytes == start.live_bytes);
  REQUIRE(edgeattn_describe_plan(plan, &info, nullptr) == EDGEATTN_OK);
  AlignedBytes memory(info.prepared_bytes), persistent(info.persistent_bytes), scratch(info.scratch_bytes);
  const Counts prepare_start = count();
  REQUIRE(edgeattn_prepare(plan, &weights, memory.data(), memory.size(), &prepared, nullptr) == EDGEATTN_OK);
  CHECK(count().live_bytes == prepare_start.live_bytes);
  const Counts bind_start = count();
  REQUIRE(edgeattn_bind(plan, prepared, persistent.data(), persistent.size(), scratch.data(), scratch.size(), pool.get(), &block,
                        nullptr) == EDGEATTN_OK);
  bool ok = true;
  edgeattn_message message;
  for (int i = 0; i < 100; ++i) ok = edgeattn_run(block, x.data(), x.data(), &message) == EDGEATTN_OK && ok;
  const Counts end = count();
  CHECK(ok);
  CHECK(end.allocations == bind_start.allocations);
  CHECK(end.releases == bind_start.releases);
}

TEST_CASE("no operation on tensors allocates") {
  constexpr std::size_t kTokens = 90, kChannels = 24;
  constexpr BmmShape kScores{.rows = kTokens, .inner = kChannels, .columns = kTokens};
  const Gemm& traits = gemm();
  BmmPlan planned;
  REQUIRE_OK(plan(kScores, traits, planned, isa()));
  AlignedBytes persistent(planned.persistent_bytes), scratch(planned.scratch_bytes);
  std::mt19937_64 engine = random_engine(42);
  std::vector<float> qkv = normal_values(engine, 2 * 3 * kChannels * kTokens), copy(2 * kChannels * kTokens),
                     scores(2 * kTokens * kTokens);

  const Counts start = count();
  Bmm product;
  TensorView<float> tensor, parts[3], q, k, out, back;
  const auto run = [&] {
    EDGEATTN_TRY(edgeattn::bind(planned, {persistent.data(), persistent.size()}, {scratch.data(), scratch.size()},
                                product));
    EDGEATTN_TRY(wrap(qkv, {2, 3 * kChannels, 9, 10}, tensor));
    EDGEATTN_TRY(split(tensor, kChannels, 1, parts));
    EDGEATTN_TRY(permute(parts[0], {0, 2, 3, 1}, q));
    EDGEATTN_TRY(view(q, {2, kTokens, -1}, q));
    EDGEATTN_TRY(split(tensor, {kChannels, kChannels, kChannels}, -3, parts));
    EDGEATTN_TRY(view(parts[1], {2, kChannels, kTokens}, k));
    EDGEATTN_TRY(wrap(scores, {2, kTokens, kTokens}, out));
    EDGEATTN_TRY(bmm(q, k, out, product));
    for (std::ptrdiff_t dim : {0, 1, 2}) EDGEATTN_TRY(softmax(out, dim, out, isa()));
    EDGEATTN_TRY(contiguous(q, copy, back, isa()));
    EDGEATTN_TRY(transpose(back, 1, 2, back));
    // An error does not allocate either.
    const bool refused = view(back, {-1}, back).code() == StatusCode::kInvalidArgument;
    return refused ? Status() : Status::error(StatusCode::kMismatch, "viewed");
  };
  Status status;
  for (int i = 0; i < 10 && status.ok(); ++i) status = run();
  const Counts end = count();
  REQUIRE_OK(status);
  CHECK(end.allocations == start.allocations);
  CHECK(end.releases == start.releases);
}

TEST_CASE("the counter counts") {
  const Counts before = count();
  auto* pointer = new std::vector<int>(100);
  CHECK(count().allocations == before.allocations + 2);
  delete pointer;
  CHECK(count().releases == before.releases + 2);
}

}  // namespace
}  // namespace edgeattn::test
