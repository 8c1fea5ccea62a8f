#include <string>
#include <string_view>

#include "harness.h"
#include "plan_checks.h"
#include "plan/sizes.h"
#include "plan/tiles.h"

namespace edgeattn::test {
namespace {

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
      {"rescale_output must be", StatusCode::kInvalidArgument, {.channels = 64, .rescale_output = 0}, shape, {}},
      {"rescale_output must be", StatusCode::kInvalidArgument, {.channels = 64, .rescale_output = -2}, shape, {}},
      {"rescale_output must be", StatusCode::kInvalidArgument, {.channels = 64, .rescale_output = 1e31}, shape, {}},
      {"rescale_output must be", StatusCode::kInvalidArgument, {.channels = 64, .rescale_output = __builtin_nan("")}, shape, {}},
      {"heads must be at least 1", StatusCode::kInvalidArgument, {.channels = 64, .heads = 0}, shape, {}},
      {"heads must divide the 64 channels, got 5", StatusCode::kInvalidArgument, {.channels = 64, .heads = 5}, shape, {}},
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

void check_map(const Plan& plan) { CHECK(fault_of_map(plan) == ""); }

TEST_CASE("regions that are alive together never share bytes, and the totals are exact") {
  std::mt19937_64 engine = random_engine(31);
  const auto between = [&](std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(engine);
  };
  for (int i = 0; i < 300; ++i) {
    const std::size_t channels = between(1, 600);
    const Spec spec{.channels = channels, .groups = 1, .heads = channels % 3 == 0 ? 3u : 1u};
    const Shape shape{between(1, 4), between(1, 70), between(1, 70)};
    const PlanOptions options{.threads = between(1, 9), .key_block = between(0, 1) * between(1, 700)};
    CAPTURE(channels);
    CAPTURE(shape.tokens());
    Plan result;
    REQUIRE_OK(plan(spec, shape, options, kBoard, made_up_gemm(i % 2 == 0), result));
    check_map(result);
    CHECK((result.key_blocks - 1) * result.key_block + result.last_key_block == shape.tokens());
    CHECK((result.key_blocks == 1 || result.last_key_block >= kKeyUnit));
    CHECK((options.key_block != 0 || result.key_block < kLargestKeyBlock + kKeyUnit));
  }
}

TEST_CASE("key blocks cover every key once, and none is narrow or much larger than it may be") {
  for (std::size_t largest : {32u, 64u, 96u, 256u}) {
    for (std::size_t tokens = 1; tokens <= 10'000; ++tokens) {
      const KeyBlocks blocks = cut_keys(tokens, largest);
      REQUIRE((blocks.count - 1) * blocks.size + blocks.last == tokens);
      REQUIRE(blocks.size < largest + kKeyUnit);
      REQUIRE(blocks.last < largest + kKeyUnit);
      REQUIRE((blocks.count == 1 || (blocks.last >= kKeyUnit && blocks.size % kKeyUnit == 0)));
    }
  }
}

TEST_CASE("key blocks do not depend on threads, batch or layout") {
  const Spec spec{.channels = 256};
  for (std::size_t side : {1u, 8u, 16u, 27u, 32u, 64u, 100u}) {
    Plan first;
    REQUIRE_OK(plan(spec, {1, side, side}, {}, kBoard, made_up_gemm(true), first));
    for (std::size_t threads : {2u, 3u, 8u}) {
      Plan other;
      REQUIRE_OK(plan(spec, {threads, side, side}, {.layout = Layout::kNhwc, .threads = threads}, kBoard,
                      made_up_gemm(true), other));
      CHECK(other.key_block == first.key_block);
      CHECK(other.key_blocks == first.key_blocks);
    }
  }
}

TEST_CASE("query tiles cover every row once, have at least two rows, and differ by one unit at most") {
  for (std::size_t tokens = 1; tokens <= 300; ++tokens) {
    for (std::size_t unit : {4u, 5u, 6u, 7u, 31u}) {
      for (std::size_t count = 1; count <= sizes::divide_up(tokens, unit); ++count) {
        const QueryTiles tiles{.tokens = tokens, .unit = unit, .count = count};
        std::size_t next = 0;
        for (std::size_t i = 0; i < count; ++i) {
          REQUIRE(tiles[i].first == next);
          REQUIRE(tiles[i].rows <= tiles.rows());
          REQUIRE((tiles[i].rows >= 2 || tokens == 1));
          if (i + 2 < count) REQUIRE(tiles[i].rows + unit >= tiles.rows());
          next += tiles[i].rows;
        }
        REQUIRE(next == tokens);
      }
    }
  }
}

TEST_CASE("query tiles give workers equal shares") {
  struct Row {
    std::size_t tokens, unit, largest, workers, count, rows;
  };
  const Row rows[] = {
      {64, 7, 336, 4, 4, 21},       // 10 passes: 2, 3, 2, 3
      {64, 7, 336, 2, 2, 35},       // 5 and 5
      {64, 7, 336, 16, 10, 7},      // no tile of less than a pass, though workers are left over
      {1024, 7, 336, 2, 4, 259},    // 147 passes in 2 rounds: 36, 37, 37, 37
      {1024, 7, 336, 1, 4, 259},
      {4096, 6, 60, 4, 72, 60},     // 683 passes in 18 rounds
      {1024, 252, 252, 2, 5, 252},  // a forced tile is a unit of its own
      {3, 7, 336, 2, 1, 3},
  };
  for (const Row& row : rows) {
    CAPTURE(row.tokens);
    CAPTURE(row.workers);
    const QueryTiles tiles = cut_queries(row.tokens, row.unit, row.largest, row.workers);
    CHECK(tiles.count == row.count);
    CHECK(tiles.rows() == row.rows);
  }
}

TEST_CASE("machines get tiles that suit their caches") {
  constexpr std::size_t kKiB = 1024, kMiB = 1024 * kKiB;
  const Machine a53{.neon = true, .processors = 4, .l2_bytes = 512 * kKiB, .l2_sharing_processors = 4};
  const Machine a72{.neon = true, .processors = 4, .l2_bytes = kMiB, .l2_sharing_processors = 4};
  const Machine a76{.neon = true, .processors = 4, .l1d_bytes = 64 * kKiB, .l3_bytes = 2 * kMiB};
  const Machine zen4{.avx2 = true, .avx512 = true, .processors = 2, .l2_bytes = kMiB, .l3_bytes = 32 * kMiB};
  const Machine skylake{.avx2 = true, .processors = 8, .l2_bytes = 256 * kKiB, .l3_bytes = 8 * kMiB, .l2_sharing_processors = 2};
  struct Row {
    const char* why;
    const Machine& machine;
    std::size_t mr, channels, side, threads, query_tile, key_block;
  };
  const Row rows[] = {
      {"a quarter of L2 is 128 KiB: half of it holds 32 keys, but fewer than 64 cost too many passes", a53, 6, 512, 32, 4, 48, 64},
      {"64 keys fill half of the share; 42 rows in the rest would be too few", a53, 6, 256, 32, 4, 48, 64},
      {"128 keys; 64 rows find room beside them", a53, 6, 128, 32, 4, 54, 128},
      {"64 keys fill half of 256 KiB; 56 rows beside them", a72, 6, 512, 32, 4, 54, 64},
      {"128 keys; 85 rows beside them", a72, 6, 256, 32, 4, 66, 128},
      {"a whole small image: 11 passes for 4 threads", a72, 6, 512, 8, 4, 18, 64},
      {"128 keys; 102 rows in L2, more than the 78 in a quarter of L3; 683 passes in 44 tiles", a76, 6, 512, 64, 4, 96, 128},
      {"256 keys, the most; 127 rows in L2 and 128 in L3", a76, 6, 256, 32, 4, 90, 256},
      {"256 keys are half of L2, and L3 has room for the largest tiles", zen4, 7, 512, 64, 2, 294, 256},
      {"the same; 147 passes in 4 equal tiles", zen4, 7, 512, 32, 2, 259, 256},
      {"one key block", zen4, 7, 256, 16, 2, 133, 256},
      {"1 MiB holds only 128 keys of twice the channels", zen4, 7, 1024, 32, 2, 259, 128},
      {"two threads share 256 KiB: 64 keys at least; an eighth of L3 has room for 163 rows", skylake, 5, 512, 64, 8, 130, 64},
      {"64 keys; 315 rows in L3, of which the largest tile takes 240", skylake, 5, 256, 64, 8, 175, 64},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    Gemm gemm = made_up_gemm(true);
    gemm.mr = row.mr;
    Plan result;
    REQUIRE_OK(plan({.channels = row.channels}, {1, row.side, row.side}, {.threads = row.threads}, row.machine, gemm, result));
    CHECK(result.query_tile == row.query_tile);
    CHECK(result.key_block == row.key_block);
  }
}

TEST_CASE("threads have operands of their own where these fit their caches and few share an image") {
  Machine machine = kBoard;
  machine.l2_bytes = 512 * 1024;
  const auto sets = [&](Shape shape, PlanOptions options) {
    Plan result;
    REQUIRE_OK(plan({.channels = 256}, shape, options, machine, made_up_gemm(true), result));
    check_map(result);
    return result.operand_sets;
  };
  CHECK(sets({1, 16, 16}, {.threads = 2}) == 2);
  CHECK(sets({1, 16, 17}, {.threads = 2}) == 1);  // more than L2
  CHECK(sets({1, 16, 16}, {.threads = 4}) == 1);  // four threads on one image
  CHECK(sets({2, 16, 16}, {.threads = 4}) == 4);
  CHECK(sets({3, 16, 16}, {.threads = 4}) == 4);  // two images at once, and then one
  CHECK(sets({2, 16, 16}, {.threads = 5}) == 1);
  CHECK(sets({8, 16, 16}, {.threads = 1}) == 1);
  Plan roomy;
  REQUIRE_OK(plan({.channels = 256}, {8, 16, 16}, {.threads = 4}, machine, made_up_gemm(true), roomy));
  CHECK(sets({8, 16, 16}, {.threads = 4, .scratch_budget_bytes = roomy.scratch_bytes - 1}) == 1);
  CHECK(images_at_once(roomy, 8) == 4);
  CHECK(images_at_once(roomy, 3) == 2);
  CHECK(images_at_once(roomy, 1) == 1);
}

TEST_CASE("a budget is kept, and too small a one says what would do") {
  const Spec spec{.channels = 128};
  const Shape shape{1, 40, 40};
  Plan unlimited;
  REQUIRE_OK(plan(spec, shape, {.threads = 8}, kBoard, made_up_gemm(true), unlimited));
  CHECK_FALSE(unlimited.budget_reduced_keys);
  bool reduced = false;
  std::size_t least = 0;
  for (std::size_t budget = unlimited.scratch_bytes; least == 0; budget -= budget / 1024) {
    Plan limited;
    const Status status = plan(spec, shape, {.threads = 8, .scratch_budget_bytes = budget}, kBoard, made_up_gemm(true), limited);
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
  REQUIRE_OK(plan(spec, shape, {.threads = 8, .scratch_budget_bytes = least}, kBoard, made_up_gemm(true), exact));
  CHECK(exact.scratch_bytes == least);
  CHECK_FAILS(plan(spec, shape, {.threads = 8, .scratch_budget_bytes = least - 1}, kBoard, made_up_gemm(true), exact),
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
