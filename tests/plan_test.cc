#include <string>
#include <string_view>

#include "harness.h"
#include "plan/sizes.h"
#include "plan/tiles.h"

namespace edgeattn::test {
namespace {

/// A GEMM library of made-up layout, so that plans of machines that are not here can be made.
Gemm made_up_gemm(bool packs_at_creation) {
  Gemm made_up;
  made_up.probe = [](std::size_t inputs, std::size_t outputs, PanelLayout& layout) noexcept {
    layout = {.inputs = inputs, .outputs = outputs, .nr = 8, .kr = 1, .sr = 1};
    return Status{};
  };
  made_up.operator_bytes = 2112;
  made_up.packs_at_creation = packs_at_creation;
  made_up.mr = 6;
  made_up.name = "made up";
  return made_up;
}

const Machine kBoard{.neon = true, .processors = 4};

TEST_CASE("arguments that no plan can be made of are named") {
  struct Row {
    const char* message;
    StatusCode code;
    Spec spec;
    Shape shape;
    PlanOptions options;
  };
  const Spec good{.channels = 64};
  const Shape shape{1, 8, 8};
  const std::size_t huge = SIZE_MAX / 2;
  const Row rows[] = {
      {"channels", StatusCode::kInvalidArgument, {.channels = 0}, shape, {}},
      {"groups must divide the 64 channels, got 5", StatusCode::kInvalidArgument, {.channels = 64, .groups = 5}, shape, {}},
      {"got 0 groups", StatusCode::kInvalidArgument, {.channels = 64, .groups = 0}, shape, {}},
      {"eps", StatusCode::kInvalidArgument, {.channels = 64, .eps = 0}, shape, {}},
      {"eps", StatusCode::kInvalidArgument, {.channels = 64, .eps = -1e-5}, shape, {}},
      {"eps", StatusCode::kInvalidArgument, {.channels = 64, .eps = __builtin_nan("")}, shape, {}},
      {"eps", StatusCode::kInvalidArgument, {.channels = 64, .eps = __builtin_inf()}, shape, {}},
      {"scale", StatusCode::kInvalidArgument, {.channels = 64, .scale = -1}, shape, {}},
      {"heads must be at least 1", StatusCode::kInvalidArgument, {.channels = 64, .heads = 0}, shape, {}},
      {"several heads are not supported", StatusCode::kUnsupported, {.channels = 64, .heads = 4}, shape, {}},
      {"at least 1, got 0, 8, 8", StatusCode::kInvalidArgument, good, {0, 8, 8}, {}},
      {"at least 1, got 1, 0, 8", StatusCode::kInvalidArgument, good, {1, 0, 8}, {}},
      {"at least 1, got 1, 8, 0", StatusCode::kInvalidArgument, good, {1, 8, 0}, {}},
      {"can be addressed", StatusCode::kInvalidArgument, good, {1, huge, huge}, {}},
      {"can be addressed", StatusCode::kInvalidArgument, good, {huge, 1, 1}, {}},
      {"threads", StatusCode::kInvalidArgument, good, shape, {.threads = 0}},
      {"threads must be from 1 to 1024, got 1025", StatusCode::kInvalidArgument, good, shape, {.threads = 1025}},
      {"query tile must be at least 4", StatusCode::kInvalidArgument, good, shape, {.query_tile = 3}},
      {"this processor has no avx2", StatusCode::kUnsupported, good, shape, {.isa = Isa::kAvx2}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.message);
    Plan untouched;
    CHECK_FAILS(plan(row.spec, row.shape, row.options, kBoard, made_up_gemm(true), untouched), row.code, row.message);
    CHECK(untouched.scratch_bytes == 0);
  }
  Plan result;
  CHECK_FAILS(plan(good, shape, {}, kBoard, Gemm{}, result), StatusCode::kInvalidArgument, "gemm");
}

void check_map(const Plan& plan) {
  std::size_t ends[3] = {};
  for (std::size_t i = 0; i < plan.regions(); ++i) {
    const Region a = plan.region(i);
    CAPTURE(a.name);
    CHECK(a.offset % Plan::kAlignment == 0);
    CHECK(a.bytes > 0);
    auto& end = ends[static_cast<std::size_t>(a.space)];
    end = std::max(end, a.offset + a.bytes);
    for (std::size_t j = 0; j < i; ++j) {
      const Region b = plan.region(j);
      if (a.space != b.space || a.offset >= b.offset + b.bytes || b.offset >= a.offset + a.bytes) continue;
      CAPTURE(b.name);
      CHECK((a.last < b.first || b.last < a.first));  // bytes in common: lives must not be
      CHECK((a.slot == b.slot || a.slot == Region::kShared || b.slot == Region::kShared));
    }
  }
  CHECK(ends[0] == plan.prepared_bytes);
  CHECK(ends[1] == plan.persistent_bytes);
  CHECK(ends[2] == plan.scratch_bytes);
}

TEST_CASE("regions that are alive together never share bytes, and the totals are exact") {
  std::mt19937_64 engine = random_engine(31);
  const auto between = [&](std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(engine);
  };
  for (int i = 0; i < 300; ++i) {
    const std::size_t channels = between(1, 600);
    const Spec spec{.channels = channels, .groups = 1};
    const Shape shape{between(1, 4), between(1, 70), between(1, 70)};
    const PlanOptions options{.threads = between(1, 9), .key_block = between(0, 1) * between(1, 700)};
    CAPTURE(channels);
    CAPTURE(shape.tokens());
    Plan result;
    REQUIRE_OK(plan(spec, shape, options, kBoard, made_up_gemm(i % 2 == 0), result));
    check_map(result);
    CHECK((result.key_blocks - 1) * result.key_block + result.last_key_block == shape.tokens());
    CHECK((result.key_blocks == 1 || result.last_key_block >= kKeyUnit));
    CHECK((options.key_block != 0 || result.key_block <= kLargestKeyBlock));
  }
}

TEST_CASE("no image makes a key block larger than need be, or the last one narrow") {
  for (std::size_t tokens = 1; tokens <= 40'000; ++tokens) {
    const KeyBlocks blocks = cut_keys(tokens, kLargestKeyBlock);
    const bool smaller_would_do = tokens % 26'880 == 0 || tokens % 26'880 >= kKeyUnit || tokens < 26'880;
    REQUIRE(blocks.size <= kLargestKeyBlock + (smaller_would_do ? 0 : kKeyUnit));
    REQUIRE((blocks.count - 1) * blocks.size + blocks.last == tokens);
    REQUIRE((blocks.count == 1 || (blocks.last >= kKeyUnit && blocks.size % kKeyUnit == 0)));
  }
}

TEST_CASE("key blocks do not depend on threads, batch or layout") {
  const Spec spec{.channels = 256};
  for (std::size_t side : {1, 8, 16, 27, 32, 64, 100}) {
    Plan first;
    REQUIRE_OK(plan(spec, {1, side, side}, {}, kBoard, made_up_gemm(true), first));
    for (std::size_t threads : {2, 3, 8}) {
      Plan other;
      REQUIRE_OK(plan(spec, {threads, side, side}, {.layout = Layout::kNhwc, .threads = threads}, kBoard,
                      made_up_gemm(true), other));
      CHECK(other.key_block == first.key_block);
      CHECK(other.key_blocks == first.key_blocks);
    }
  }
}

TEST_CASE("query tiles cover every row once and have at least two rows") {
  for (std::size_t tokens = 1; tokens <= 300; ++tokens) {
    for (std::size_t tile = std::min<std::size_t>(tokens, 4); tile <= tokens; ++tile) {
      std::size_t next = 0;
      for (std::size_t i = 0; i < sizes::divide_up(tokens, tile); ++i) {
        const QueryTile cut = query_tile(tokens, tile, i);
        REQUIRE(cut.first == next);
        REQUIRE(cut.rows <= tile);
        REQUIRE((cut.rows >= 2 || tokens == 1));
        next = cut.first + cut.rows;
      }
      REQUIRE(next == tokens);
    }
  }
}

TEST_CASE("a budget is kept, and too small a one says what would do") {
  const Spec spec{.channels = 128};
  const Shape shape{1, 40, 40};
  Plan unlimited;
  REQUIRE_OK(plan(spec, shape, {.threads = 2}, kBoard, made_up_gemm(true), unlimited));
  CHECK_FALSE(unlimited.budget_reduced_keys);
  bool reduced = false;
  std::size_t least = 0;
  for (std::size_t budget = unlimited.scratch_bytes; least == 0; budget -= budget / 1024) {
    Plan limited;
    const Status status = plan(spec, shape, {.threads = 2, .scratch_budget_bytes = budget}, kBoard, made_up_gemm(true), limited);
    if (status.ok()) {
      CHECK(limited.scratch_bytes <= budget);
      CHECK(limited.key_block <= unlimited.key_block);
      CHECK(limited.budget_reduced_keys == (limited.key_block != unlimited.key_block));
      check_map(limited);
      reduced = reduced || limited.budget_reduced_keys;
      continue;
    }
    CHECK(status.code() == StatusCode::kTooSmall);
    const std::string message = status.message();
    least = static_cast<std::size_t>(std::stoull(message.substr(message.find("at least ") + 9)));
    CHECK(least > budget);
  }
  CHECK(reduced);
  Plan exact;
  REQUIRE_OK(plan(spec, shape, {.threads = 2, .scratch_budget_bytes = least}, kBoard, made_up_gemm(true), exact));
  CHECK(exact.scratch_bytes == least);
  CHECK_FAILS(plan(spec, shape, {.threads = 2, .scratch_budget_bytes = least - 1}, kBoard, made_up_gemm(true), exact),
              StatusCode::kTooSmall, std::to_string(least));
}

TEST_CASE("scratch of the large images stays small") {
  Plan result;
  const Spec spec{.channels = 512};
  REQUIRE_OK(plan(spec, {1, 64, 64}, {.threads = 2}, detect_machine(), gemm(), result));
  CHECK(result.scratch_bytes <= 20.5 * 1024 * 1024);
  REQUIRE_OK(plan(spec, {1, 128, 128}, {.threads = 2}, detect_machine(), gemm(), result));
  CHECK(result.scratch_bytes <= 72u * 1024 * 1024);
  check_map(result);
}

}  // namespace
}  // namespace edgeattn::test
