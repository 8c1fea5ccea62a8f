#include <algorithm>
#include <cstring>
#include <string>
#include <tuple>

#include "c/versioned.h"
#include "c_calls.h"
#include "edgeattn/edgeattn.h"
#include "harness.h"

namespace edgeattn::test {
namespace {

edgeattn_weights c_weights(const Weights& weights, pthreadpool_t pool) {
  return {.size = sizeof(edgeattn_weights),
          .norm_weight = weights.norm_weight,
          .norm_bias = weights.norm_bias,
          .running_mean = weights.running_mean,
          .running_var = weights.running_var,
          .qkv_weight = weights.qkv_weight,
          .qkv_bias = weights.qkv_bias,
          .out_weight = weights.out_weight,
          .out_bias = weights.out_bias,
          .score_weight = weights.score_weight,
          .score_bias = weights.score_bias,
          .pool = pool};
}

/// Everything that a C host needs to run one block.
struct CBlock {
  edgeattn_message message{};
  AlignedBytes plan_memory{edgeattn_plan_bytes()};
  edgeattn_plan* plan = nullptr;
  edgeattn_plan_info info = sized<edgeattn_plan_info>();
  std::unique_ptr<AlignedBytes> prepared_memory, persistent, scratch;
  const edgeattn_prepared* prepared = nullptr;
  edgeattn_block* block = nullptr;

  CBlock(const Spec& spec, const Shape& shape, const PlanOptions& options, GemmChoice gemm = GemmChoice::kAuto) {
    const edgeattn_spec given = c_spec(spec);
    const edgeattn_shape given_shape{
        .size = sizeof given_shape, .batch = shape.batch, .height = shape.height, .width = shape.width};
    const edgeattn_options given_options{.size = sizeof given_options,
                                         .threads = options.threads,
                                         .scratch_budget_bytes = options.scratch_budget_bytes,
                                         .query_tile = options.query_tile,
                                         .key_block = options.key_block,
                                         .l2_bytes = 0,
                                         .layout = static_cast<edgeattn_layout>(options.layout),
                                         .isa = static_cast<edgeattn_isa>(options.isa),
                                         .precision = static_cast<edgeattn_precision>(options.precision),
                                         .gemm = static_cast<edgeattn_gemm>(gemm)};
    REQUIRE_C_OK(edgeattn_make_plan(plan_memory.data(), plan_memory.size(), &given, &given_shape, &given_options, &plan,
                                    &message));
    REQUIRE_C_OK(edgeattn_describe_plan(plan, &info, &message));
    prepared_memory = std::make_unique<AlignedBytes>(info.prepared_bytes);
    persistent = std::make_unique<AlignedBytes>(info.persistent_bytes);
    scratch = std::make_unique<AlignedBytes>(info.scratch_bytes);
  }

  void prepare(const Weights& weights, pthreadpool_t pool = nullptr) {
    const edgeattn_weights given = c_weights(weights, pool);
    REQUIRE_C_OK(edgeattn_prepare(plan, &given, prepared_memory->data(), prepared_memory->size(), &prepared, &message));
  }

  void bind(pthreadpool_t pool) {
    REQUIRE_C_OK(edgeattn_bind(plan, prepared, persistent->data(), persistent->size(), scratch->data(), scratch->size(), pool,
                               &block, &message));
  }
};

const Shape kShape{2, 9, 7};

TEST_CASE("C: a block has the bits of the C++ one") {
  const std::tuple<Spec, PlanOptions> rows[] = {
      {{.channels = 64}, {}},
      {{.channels = 24, .groups = 3, .eps = 1e-6}, {.layout = Layout::kNhwc, .threads = 2}},
      {{.channels = 20, .norm = Norm::kInstance, .scale = 0.5}, {.threads = 3, .isa = Isa::kScalar}},
      {{.channels = 17, .norm = Norm::kBatch, .residual = false}, {.query_tile = 8}},
      {{.channels = 33, .norm = Norm::kNone}, {.key_block = 16}},
      {{.channels = 64, .heads = 4, .rescale_output = 2}, {.threads = 2}},
      {{.channels = 32}, {.threads = 2, .isa = Isa::kScalar, .precision = Precision::kBfloat16}},
      {{.channels = 64, .heads = 4}, {.isa = Isa::kScalar, .precision = Precision::kInt8}},
  };
  for (const auto& row : rows) {
    const Spec& spec = std::get<Spec>(row);
    const PlanOptions& options = std::get<PlanOptions>(row);
    CAPTURE(spec.channels);
    const io::BlockWeights trained = random_weights(spec, 71);
    std::vector<io::BlockWeights> forms{trained};
    if (spec.heads == 1) REQUIRE_OK(io::fold_block(trained, detect_machine(), forms.emplace_back()));
    std::mt19937_64 engine = random_engine(71);
    const std::vector<float> x = normal_values(engine, kShape.batch * spec.channels * kShape.tokens());
    const Pool pool = make_pool(options.threads);
    for (const io::BlockWeights& weights : forms) {
      Plan expected_plan;
      REQUIRE_OK(plan(spec, kShape, options, detect_machine(), gemm(), expected_plan));
      AlignedBytes prepared_memory(expected_plan.prepared_bytes), persistent(expected_plan.persistent_bytes),
          scratch(expected_plan.scratch_bytes);
      const auto span = [](AlignedBytes& bytes) { return std::span(bytes.data(), bytes.size()); };
      Prepared prepared;
      REQUIRE_OK(prepare(spec, weights.view(), detect_machine(), gemm(), span(prepared_memory), prepared,
                         {.precision = options.precision, .isa = options.isa}));
      Block block;
      REQUIRE_OK(edgeattn::bind(expected_plan, prepared, span(persistent), span(scratch), pool.get(), block));
      std::vector<float> expected(x.size());
      REQUIRE_OK(block.run(x.data(), expected.data()));

      CBlock c(spec, kShape, options, gemm_choice());
      c.prepare(weights.view(), pool.get());
      c.bind(pool.get());
      edgeattn_message& message = c.message;
      std::vector<float> y(x.size());
      REQUIRE_C_OK(edgeattn_run(c.block, x.data(), y.data(), &message));
      CHECK(same_bits(y, expected));
      CHECK(c.info.threads == expected_plan.threads);
      CHECK(c.info.query_tile == expected_plan.query_tile);
      CHECK(c.info.key_block == expected_plan.key_block);
      CHECK(c.info.isa == static_cast<edgeattn_isa>(expected_plan.isa));
      CHECK(c.info.precision == static_cast<edgeattn_precision>(options.precision));
      CHECK(c.info.budget_reduced_keys == 0);
      CHECK(c.info.scratch_bytes == expected_plan.scratch_bytes);
      CHECK(c.info.external_bytes == expected_plan.external_bytes);
    }
  }
}

TEST_CASE("C: zeros are the usual values, and a bound block needs its plan no more") {
  const Spec usual{.channels = 64};
  CBlock c(usual, {1, 8, 8}, {});
  edgeattn_message& message = c.message;
  auto spec = sized<edgeattn_spec>();
  spec.channels = 64;
  spec.eps = usual.eps;
  edgeattn_shape shape{.size = sizeof shape, .batch = 0, .height = 8, .width = 8};
  AlignedBytes memory(edgeattn_plan_bytes());
  edgeattn_plan* plan = nullptr;
  REQUIRE_C_OK(edgeattn_make_plan(memory.data(), memory.size(), &spec, &shape, nullptr, &plan, nullptr));
  auto info = sized<edgeattn_plan_info>();
  REQUIRE_C_OK(edgeattn_describe_plan(plan, &info, &message));
  CHECK(std::memcmp(&info, &c.info, sizeof info) == 0);

  c.prepare(random_weights(usual, 72).view());
  edgeattn_block* block = nullptr;  // of the one plan with weights prepared by the other
  REQUIRE_C_OK(edgeattn_bind(plan, c.prepared, c.persistent->data(), c.persistent->size(), c.scratch->data(),
                             c.scratch->size(), nullptr, &block, &message));
  std::fill_n(memory.data(), memory.size(), std::byte{0xFF});
  const std::vector<float> x(64 * 64, 1.0f);
  std::vector<float> y(x.size());
  REQUIRE_C_OK(edgeattn_run(block, x.data(), y.data(), &message));
}

TEST_CASE("C: options reach the plan") {
  const Spec spec{.channels = 64};
  const edgeattn_spec given = c_spec(spec);
  const edgeattn_shape shape{.size = sizeof shape, .batch = 1, .height = 64, .width = 64};
  edgeattn_message message;
  const auto info_of = [&](const edgeattn_options& options) {
    AlignedBytes memory(edgeattn_plan_bytes());
    edgeattn_plan* plan = nullptr;
    REQUIRE_C_OK(edgeattn_make_plan(memory.data(), memory.size(), &given, &shape, &options, &plan, &message));
    auto info = sized<edgeattn_plan_info>();
    REQUIRE_C_OK(edgeattn_describe_plan(plan, &info, &message));
    return info;
  };
  const auto none = sized<edgeattn_options>();
  const edgeattn_plan_info free_choice = info_of(none);
  edgeattn_options small_cache = none, budget = none;
  small_cache.l2_bytes = 64 * 1024;
  CHECK(info_of(small_cache).key_block < free_choice.key_block);
  budget.scratch_budget_bytes = free_choice.scratch_bytes - EDGEATTN_ALIGNMENT;
  CHECK(info_of(budget).scratch_bytes <= budget.scratch_budget_bytes);
  edgeattn_options reduced = none;
  reduced.isa = EDGEATTN_ISA_SCALAR;
  reduced.precision = EDGEATTN_INT8;
  CHECK(info_of(reduced).prepared_bytes < free_choice.prepared_bytes);
  CHECK(info_of(reduced).scratch_bytes < free_choice.scratch_bytes);
  budget.scratch_budget_bytes = 1000;
  AlignedBytes memory(edgeattn_plan_bytes());
  edgeattn_plan* plan = nullptr;
  CHECK_C_FAILS(edgeattn_make_plan(memory.data(), memory.size(), &given, &shape, &budget, &plan, &message),
                EDGEATTN_TOO_SMALL, "1000");
  CHECK(plan == nullptr);

  edgeattn_options products = none;
  products.gemm = EDGEATTN_GEMM_BUILTIN;
  CHECK(info_of(products).gemm == EDGEATTN_GEMM_BUILTIN);
  Gemm automatic;
  REQUIRE_OK(gemm_traits(detect_machine(), automatic));
  CHECK((free_choice.gemm == EDGEATTN_GEMM_BUILTIN) == (std::string_view(automatic.name) == "edgeattn"));
#if EDGEATTN_XNNPACK
  products.gemm = EDGEATTN_GEMM_XNNPACK;
  CHECK(info_of(products).gemm == EDGEATTN_GEMM_XNNPACK);
#else
  products.gemm = EDGEATTN_GEMM_XNNPACK;
  CHECK_C_FAILS(edgeattn_make_plan(memory.data(), memory.size(), &given, &shape, &products, &plan, &message),
                EDGEATTN_UNSUPPORTED, "no XNNPACK");
#endif
}

TEST_CASE("C: memory one byte too small or misaligned is an error with both sizes") {
  CBlock c({.channels = 32}, kShape, {});
  edgeattn_message& message = c.message;
  const io::BlockWeights random = random_weights({.channels = 32}, 73);
  const edgeattn_weights weights = c_weights(random.view(), nullptr);
  const edgeattn_spec spec = c_spec({.channels = 32});
  const edgeattn_shape shape{.size = sizeof shape, .batch = 1, .height = 8, .width = 8};
  const auto sizes = [](std::size_t required) {
    return std::to_string(required) + " bytes required, " + std::to_string(required - 1) + " given";
  };
  edgeattn_plan* plan = nullptr;
  const auto make_plan = [&](std::byte* memory, std::size_t bytes) {
    return edgeattn_make_plan(memory, bytes, &spec, &shape, nullptr, &plan, &message);
  };
  const std::size_t plan_bytes = edgeattn_plan_bytes();
  AlignedBytes memory(plan_bytes + 4);
  CHECK_C_FAILS(make_plan(memory.data(), plan_bytes - 1), EDGEATTN_TOO_SMALL, sizes(plan_bytes));
  CHECK_C_FAILS(make_plan(memory.data() + 4, plan_bytes), EDGEATTN_INVALID_ARGUMENT, "plan span must be aligned to 64");
  CHECK_C_FAILS(make_plan(nullptr, plan_bytes), EDGEATTN_INVALID_ARGUMENT, "plan span");
  CHECK(plan == nullptr);

  const edgeattn_prepared* prepared = nullptr;
  CHECK_C_FAILS(edgeattn_prepare(c.plan, &weights, c.prepared_memory->data(), c.info.prepared_bytes - 1, &prepared, &message),
                EDGEATTN_TOO_SMALL, "prepared span is too small: " + sizes(c.info.prepared_bytes));
  CHECK(prepared == nullptr);
  c.prepare(random.view());
  edgeattn_block* block = nullptr;
  CHECK_C_FAILS(edgeattn_bind(c.plan, c.prepared, c.persistent->data(), c.info.persistent_bytes - 1, c.scratch->data(),
                              c.info.scratch_bytes, nullptr, &block, &message),
                EDGEATTN_TOO_SMALL, "persistent span is too small: " + sizes(c.info.persistent_bytes));
  CHECK_C_FAILS(edgeattn_bind(c.plan, c.prepared, c.persistent->data(), c.info.persistent_bytes, c.scratch->data(),
                              c.info.scratch_bytes - 1, nullptr, &block, &message),
                EDGEATTN_TOO_SMALL, "scratch span is too small: " + sizes(c.info.scratch_bytes));
  CHECK(block == nullptr);
}

TEST_CASE("C: null and wrong arguments are named") {
  CBlock c({.channels = 32}, kShape, {});
  edgeattn_message& message = c.message;
  const io::BlockWeights random = random_weights({.channels = 32}, 74);
  const edgeattn_spec good = c_spec({.channels = 32});
  const edgeattn_shape shape{.size = sizeof shape, .batch = 1, .height = 8, .width = 8};
  AlignedBytes memory(edgeattn_plan_bytes());
  edgeattn_plan* plan = nullptr;
  const auto make_plan = [&](const edgeattn_spec* spec, const edgeattn_shape* size, const edgeattn_options* options) {
    return edgeattn_make_plan(memory.data(), memory.size(), spec, size, options, &plan, &message);
  };
  const auto changed = [](auto value, auto field, auto to) {
    value.*field = to;
    return value;
  };
  const auto options = sized<edgeattn_options>();
  const auto wrong_norm = changed(good, &edgeattn_spec::norm, 4), negative_norm = changed(good, &edgeattn_spec::norm, -1);
  const auto no_channels = changed(good, &edgeattn_spec::channels, 0u), no_eps = changed(good, &edgeattn_spec::eps, 0.0);
  const auto heads = changed(good, &edgeattn_spec::heads, std::size_t{1000});
  const auto height = changed(shape, &edgeattn_shape::height, 0u);
  const auto layout = changed(options, &edgeattn_options::layout, 2), isa = changed(options, &edgeattn_options::isa, 5);
  const auto precision = changed(options, &edgeattn_options::precision, 3);
  const auto gemm = changed(options, &edgeattn_options::gemm, 3);
  CHECK_C_FAILS(make_plan(nullptr, &shape, nullptr), EDGEATTN_INVALID_ARGUMENT, "spec is null");
  CHECK_C_FAILS(make_plan(&good, nullptr, nullptr), EDGEATTN_INVALID_ARGUMENT, "shape is null");
  CHECK_C_FAILS(make_plan(&wrong_norm, &shape, nullptr), EDGEATTN_INVALID_ARGUMENT, "spec.norm must be from 0 to 3, got 4");
  CHECK_C_FAILS(make_plan(&negative_norm, &shape, nullptr), EDGEATTN_INVALID_ARGUMENT, "got -1");
  CHECK_C_FAILS(make_plan(&good, &shape, &gemm), EDGEATTN_INVALID_ARGUMENT, "options.gemm must be from 0 to 2, got 3");
  CHECK_C_FAILS(make_plan(&no_channels, &shape, nullptr), EDGEATTN_INVALID_ARGUMENT, "channels");
  CHECK_C_FAILS(make_plan(&no_eps, &shape, nullptr), EDGEATTN_INVALID_ARGUMENT, "eps must be positive");
  CHECK(make_plan(&heads, &shape, nullptr) != EDGEATTN_OK);
  CHECK_C_FAILS(make_plan(&good, &height, nullptr), EDGEATTN_INVALID_ARGUMENT, "at least 1, got 1, 0, 8");
  CHECK_C_FAILS(make_plan(&good, &shape, &layout), EDGEATTN_INVALID_ARGUMENT, "options.layout must be from 0 to 1, got 2");
  CHECK_C_FAILS(make_plan(&good, &shape, &isa), EDGEATTN_INVALID_ARGUMENT, "options.isa must be from 0 to 4, got 5");
  CHECK_C_FAILS(make_plan(&good, &shape, &precision), EDGEATTN_INVALID_ARGUMENT, "options.precision must be from 0 to 2, got 3");
  CHECK_C_FAILS(edgeattn_make_plan(memory.data(), memory.size(), &good, &shape, nullptr, nullptr, &message),
                EDGEATTN_INVALID_ARGUMENT, "plan is null");
  CHECK(plan == nullptr);

  auto info = sized<edgeattn_plan_info>();
  CHECK_C_FAILS(edgeattn_describe_plan(nullptr, &info, &message), EDGEATTN_INVALID_ARGUMENT, "plan is null");
  CHECK_C_FAILS(edgeattn_describe_plan(c.plan, nullptr, &message), EDGEATTN_INVALID_ARGUMENT, "info is null");

  edgeattn_weights weights = c_weights(random.view(), nullptr);
  const edgeattn_prepared* prepared = nullptr;
  const auto prepare = [&](const edgeattn_plan* of, const edgeattn_weights* given, const edgeattn_prepared** made) {
    return edgeattn_prepare(of, given, c.prepared_memory->data(), c.prepared_memory->size(), made, &message);
  };
  CHECK_C_FAILS(prepare(nullptr, &weights, &prepared), EDGEATTN_INVALID_ARGUMENT, "plan is null");
  CHECK_C_FAILS(prepare(c.plan, nullptr, &prepared), EDGEATTN_INVALID_ARGUMENT, "weights is null");
  CHECK_C_FAILS(prepare(c.plan, &weights, nullptr), EDGEATTN_INVALID_ARGUMENT, "prepared is null");
  weights.qkv_weight = nullptr;
  CHECK_C_FAILS(prepare(c.plan, &weights, &prepared), EDGEATTN_INVALID_ARGUMENT, "to_qkv.weight");
  CHECK(prepared == nullptr);

  c.prepare(random.view());
  edgeattn_block* block = nullptr;
  const auto bind = [&](const edgeattn_plan* of, const edgeattn_prepared* with, edgeattn_block** made) {
    return edgeattn_bind(of, with, c.persistent->data(), c.persistent->size(), c.scratch->data(), c.scratch->size(), nullptr,
                         made, &message);
  };
  CHECK_C_FAILS(bind(nullptr, c.prepared, &block), EDGEATTN_INVALID_ARGUMENT, "plan is null");
  CHECK_C_FAILS(bind(c.plan, nullptr, &block), EDGEATTN_INVALID_ARGUMENT, "prepared is null");
  CHECK_C_FAILS(bind(c.plan, c.prepared, nullptr), EDGEATTN_INVALID_ARGUMENT, "block is null");
  CBlock other({.channels = 32, .groups = 16}, kShape, {});
  other.prepare(random.view());
  CHECK_C_FAILS(bind(c.plan, other.prepared, &block), EDGEATTN_MISMATCH, "another spec");
  CBlock reduced({.channels = 32}, kShape, {.isa = Isa::kScalar, .precision = Precision::kBfloat16});
  reduced.prepare(random.view());
  CHECK_C_FAILS(bind(c.plan, reduced.prepared, &block), EDGEATTN_MISMATCH, "another spec, precision");
  CHECK(block == nullptr);

  c.bind(nullptr);
  std::vector<float> y(32 * kShape.batch * kShape.tokens());
  CHECK_C_FAILS(edgeattn_run(nullptr, y.data(), y.data(), &message), EDGEATTN_INVALID_ARGUMENT, "block is null");
  CHECK_C_FAILS(edgeattn_run(c.block, nullptr, y.data(), &message), EDGEATTN_INVALID_ARGUMENT, "x is null");
  CHECK(edgeattn_run(c.block, nullptr, y.data(), nullptr) == EDGEATTN_INVALID_ARGUMENT);
  CHECK(edgeattn_run(c.block, y.data(), y.data(), &message) == EDGEATTN_OK);
  CHECK(std::string(message.text).empty());
}

TEST_CASE("C: memory of several plans") {
  edgeattn_message message;
  CBlock a({.channels = 64}, {1, 16, 16}, {}), b({.channels = 32}, {2, 24, 24}, {.threads = 2}), c({.channels = 128}, {1, 4, 4}, {});
  auto memory = sized<edgeattn_memory>();
  const edgeattn_plan* const plans[] = {a.plan, b.plan, c.plan, b.plan};
  REQUIRE_C_OK(edgeattn_sum_memory(plans, 4, &memory, &message));
  CHECK(memory.prepared_bytes == a.info.prepared_bytes + 2 * b.info.prepared_bytes + c.info.prepared_bytes);
  CHECK(memory.persistent_bytes == a.info.persistent_bytes + 2 * b.info.persistent_bytes + c.info.persistent_bytes);
  CHECK(memory.scratch_bytes == std::max({a.info.scratch_bytes, b.info.scratch_bytes, c.info.scratch_bytes}));
  CHECK(memory.external_bytes == 0);
  for (const std::size_t bytes : {memory.prepared_bytes, memory.persistent_bytes, memory.scratch_bytes, edgeattn_plan_bytes()})
    CHECK(bytes % EDGEATTN_ALIGNMENT == 0);

  REQUIRE_C_OK(edgeattn_sum_memory(nullptr, 0, &memory, &message));
  CHECK(memory.prepared_bytes + memory.persistent_bytes + memory.scratch_bytes + memory.external_bytes == 0);
  const edgeattn_plan* const with_null[] = {a.plan, nullptr};
  CHECK_C_FAILS(edgeattn_sum_memory(with_null, 2, &memory, &message), EDGEATTN_INVALID_ARGUMENT, "plans[1] is null");
  CHECK_C_FAILS(edgeattn_sum_memory(nullptr, 2, &memory, &message), EDGEATTN_INVALID_ARGUMENT, "plans is null");
  CHECK_C_FAILS(edgeattn_sum_memory(plans, 2, nullptr, &message), EDGEATTN_INVALID_ARGUMENT, "memory is null");
}

struct Old {
  std::size_t size, first;
};
struct New {
  std::size_t size, first, second;
};

TEST_CASE("C: structs of older and of newer headers") {
  using namespace edgeattn::c;
  constexpr std::size_t kOldest = EDGEATTN_SIZE_UP_TO(New, first);
  static_assert(kOldest == sizeof(Old));

  // An older caller with a newer library, and the reverse.
  New read{};
  const Old old{sizeof old, 7};
  read.second = 99;
  REQUIRE_OK(read_struct("it", &old, kOldest, &read, sizeof read));
  CHECK(read.first == 7);
  CHECK(read.second == 0);
  Old cut{};
  const New unset{sizeof unset, 8, 0}, set{sizeof set, 9, 1};
  REQUIRE_OK(read_struct("it", &unset, kOldest, &cut, sizeof cut));
  CHECK(cut.first == 8);
  CHECK_FAILS(read_struct("it", &set, kOldest, &cut, sizeof cut), StatusCode::kUnsupported, "it sets a field past byte");
  CHECK(cut.first == 8);

  // The same for results.
  Old result{sizeof result, 1};
  REQUIRE_OK(write_struct("it", &set, sizeof set, kOldest, Cut::kAllowed, &result));
  CHECK(result.size == sizeof result);
  CHECK(result.first == 9);
  CHECK_FAILS(write_struct("it", &set, sizeof set, kOldest, Cut::kForbidden, &result), StatusCode::kUnsupported,
              "a field past it is needed");
  REQUIRE_OK(write_struct("it", &unset, sizeof unset, kOldest, Cut::kForbidden, &result));
  CHECK(result.first == 8);
  New longer{sizeof longer, 1, 2};
  REQUIRE_OK(write_struct("it", &old, sizeof old, kOldest, Cut::kForbidden, &longer));
  CHECK(longer.first == 7);
  CHECK(longer.second == 0);

  // A size that was not set.
  for (const std::size_t size : {std::size_t{0}, kOldest - 1, SIZE_MAX}) {
    const New given{size, 1, 2};
    CHECK_FAILS(read_struct("it", &given, kOldest, &read, sizeof read), StatusCode::kInvalidArgument, "it.size must be");
    New out{size, 1, 2};
    CHECK_FAILS(write_struct("it", &old, sizeof old, kOldest, Cut::kAllowed, &out), StatusCode::kInvalidArgument,
                "it.size must be");
  }

  // And at the API's own door.
  struct Newer {
    edgeattn_spec spec;
    double unknown;
  };
  Newer newer{c_spec({.channels = 64}), 0.0};
  newer.spec.size = sizeof newer;
  const edgeattn_shape shape{.size = sizeof shape, .batch = 1, .height = 8, .width = 8};
  AlignedBytes memory(edgeattn_plan_bytes());
  edgeattn_message message;
  edgeattn_plan* plan = nullptr;
  REQUIRE_C_OK(edgeattn_make_plan(memory.data(), memory.size(), &newer.spec, &shape, nullptr, &plan, &message));
  newer.unknown = 1;
  CHECK_C_FAILS(edgeattn_make_plan(memory.data(), memory.size(), &newer.spec, &shape, nullptr, &plan, &message),
                EDGEATTN_UNSUPPORTED, "spec sets a field past byte");
  newer.spec.size = 0;
  CHECK_C_FAILS(edgeattn_make_plan(memory.data(), memory.size(), &newer.spec, &shape, nullptr, &plan, &message),
                EDGEATTN_INVALID_ARGUMENT, "spec.size must be");
}

TEST_CASE("C: names and numbers") {
  CHECK(std::string(edgeattn_version()) == EDGEATTN_VERSION);
  for (edgeattn_status status = EDGEATTN_OK; status <= EDGEATTN_FORMAT; ++status)
    CHECK(std::string(edgeattn_status_string(status)) == to_string(static_cast<StatusCode>(status)));
  CHECK(std::string(edgeattn_status_string(-1)) == "unknown");
  CHECK(std::string(edgeattn_status_string(EDGEATTN_FORMAT + 1)) == "unknown");
  edgeattn_message message;
  CHECK(edgeattn_initialize(&message) == EDGEATTN_OK);
  CHECK(edgeattn_initialize(nullptr) == EDGEATTN_OK);
}

}  // namespace
}  // namespace edgeattn::test
