#include <atomic>
#include <numeric>
#include <string>
#include <thread>

#include "harness.h"

/// The same bits for any number of threads, any pool, any tile, budget and address.
namespace edgeattn::test {
namespace {

struct Row {
  const char* what;
  std::size_t channels, groups;
  Shape shape;
  Layout layout;
  std::size_t key_block;  ///< 0: the plan's choice
  std::size_t heads = 1;
};

const Row kRows[] = {
    {"one key block", 64, 32, {2, 16, 16}, Layout::kNchw, 0},
    {"one key block", 64, 32, {2, 16, 16}, Layout::kNhwc, 0},
    {"several key blocks", 40, 8, {1, 29, 31}, Layout::kNchw, 0},
    {"several key blocks", 40, 8, {1, 29, 31}, Layout::kNhwc, 64},
    {"prime pixels", 21, 1, {1, 1, 257}, Layout::kNchw, 96},
    {"one pixel more than a tile", 33, 3, {1, 5, 13}, Layout::kNchw, 32},
    {"few pixels", 96, 32, {3, 1, 3}, Layout::kNhwc, 0},
    {"heads", 48, 24, {2, 16, 17}, Layout::kNchw, 0, 3},
    {"heads", 40, 20, {1, 29, 31}, Layout::kNhwc, 96, 5},
    {"heads, few pixels", 64, 32, {3, 3, 5}, Layout::kNchw, 0, 4},
    {"one pixel", 7, 7, {2, 1, 1}, Layout::kNchw, 0},
};

/// A row of the table; emulated, with a fourth of the channels, and no images of more than a few hundred pixels.
Row sized(Row row) {
  if (!sample()) return row;
  const std::size_t unit = std::lcm(row.groups, row.heads);
  row.channels = unit * ((row.channels / unit + 3) / 4);
  if (row.shape.tokens() > 400) row.shape = {row.shape.batch, 17, 19};
  return row;
}

/// `count` repetitions; emulated, a third.
int repeats(int count) { return sample() ? count / 3 : count; }

std::vector<float> input_of(const Row& row) {
  std::mt19937_64 engine = random_engine(row.shape.tokens());
  return normal_values(engine, row.shape.batch * row.channels * row.shape.tokens());
}

Spec spec_of(const Row& row) { return {.channels = row.channels, .groups = row.groups, .heads = row.heads}; }

PlanOptions options_of(const Row& row, std::size_t threads = 1) {
  return {.layout = row.layout, .threads = threads, .key_block = row.key_block};
}

TEST_CASE("threads do not change the bits") {
  for (const Row& listed : kRows) {
    const Row row = sized(listed);
    CAPTURE(row.what);
    const io::BlockWeights weights = random_weights(spec_of(row), 1);
    const std::vector<float> x = input_of(row);
    const std::vector<float> expected = TestBlock(weights, row.shape, options_of(row)).run(x);
    for (const std::size_t threads : {1u, 2u, 3u, 8u}) {
      CAPTURE(threads);
      TestBlock block(weights, row.shape, options_of(row, threads));
      for (int repeat = 0; repeat < repeats(3); ++repeat) CHECK(same_bits(block.run(x), expected));
    }
  }
}

TEST_CASE("query tiles do not change the bits, lone last rows included") {
  for (const Row& listed : kRows) {
    const Row row = sized(listed);
    CAPTURE(row.what);
    const io::BlockWeights weights = random_weights(spec_of(row), 2);
    const std::vector<float> x = input_of(row);
    const std::vector<float> expected = TestBlock(weights, row.shape, options_of(row)).run(x);
    const std::size_t tokens = row.shape.tokens();
    for (std::size_t tile : {std::size_t{4}, std::size_t{5}, std::size_t{7}, std::size_t{32}, tokens - 1, tokens}) {
      if (tile < std::min<std::size_t>(tokens, 4)) continue;
      CAPTURE(tile);
      PlanOptions options = options_of(row, 2);
      options.query_tile = tile;
      CHECK(same_bits(TestBlock(weights, row.shape, options).run(x), expected));
    }
  }
}

TEST_CASE("budgets do not change the bits while they leave the key blocks alone") {
  for (const Row& listed : kRows) {
    const Row row = sized(listed);
    CAPTURE(row.what);
    const io::BlockWeights weights = random_weights(spec_of(row), 3);
    const std::vector<float> x = input_of(row);
    TestBlock unlimited(weights, row.shape, options_of(row));
    const std::vector<float> expected = unlimited.run(x);
    std::size_t budget = unlimited.plan().scratch_bytes;
    for (int i = 0; i < repeats(6); ++i, budget -= budget / 8) {
      PlanOptions options = options_under_test(options_of(row));
      options.scratch_budget_bytes = budget;
      Plan probe;
      if (!plan(spec_of(row), row.shape, options, detect_machine(), gemm(), probe).ok()) break;
      CHECK(probe.scratch_bytes <= budget);
      if (probe.budget_reduced_keys) break;
      CHECK(same_bits(TestBlock(weights, row.shape, options).run(x), expected));
    }
  }
}

TEST_CASE("addresses do not change the bits") {
  const Row row = sized(kRows[2]);
  const io::BlockWeights weights = random_weights(spec_of(row), 4);
  const std::vector<float> x = input_of(row);
  const std::vector<float> expected = TestBlock(weights, row.shape, options_of(row, 2)).run(x);
  for (const std::size_t shift : {0u, 64u, 128u, 192u, 448u, 1024u, 2048u, 4032u}) {
    CAPTURE(shift);
    TestBlock block(weights, row.shape, options_of(row, 2), shift);
    AlignedBytes in(x.size() * sizeof(float), 4096, shift + 4), out(x.size() * sizeof(float), 4096, 2 * shift + 12);
    std::copy(x.begin(), x.end(), in.floats());
    REQUIRE_OK(block.block().run(in.floats(), out.floats()));
    CHECK(same_bits({out.floats(), out.floats() + x.size()}, expected));
  }
}

TEST_CASE("the pool's size does not change the bits") {
  const Row row = sized(kRows[0]);
  const io::BlockWeights weights = random_weights(spec_of(row), 5);
  const std::vector<float> x = input_of(row);
  const std::vector<float> expected = TestBlock(weights, row.shape, options_of(row)).run(x);
  for (const std::size_t pool_threads : {1u, 2u, 3u, 5u}) {
    for (const std::size_t slots : {1u, 4u}) {
      const Pool pool = make_pool(pool_threads);
      PlanOptions options = options_under_test(options_of(row, slots));
      Plan planned;
      REQUIRE_OK(plan(spec_of(row), row.shape, options, detect_machine(), gemm(), planned));
      AlignedBytes memory(planned.prepared_bytes), persistent(planned.persistent_bytes), scratch(planned.scratch_bytes);
      Prepared prepared;
      Block block;
      REQUIRE_OK(prepare(spec_of(row), weights.view(), detect_machine(), gemm(), {memory.data(), memory.size()}, prepared,
                         format_under_test()));
      REQUIRE_OK(bind(planned, prepared, {persistent.data(), persistent.size()}, {scratch.data(), scratch.size()},
                      pool.get(), block));
      std::vector<float> y(x.size());
      REQUIRE_OK(block.run(x.data(), y.data()));
      CHECK(same_bits(y, expected));
    }
  }
}

TEST_CASE("different blocks run at the same time, on one pool or several") {
  const Row row = sized(kRows[0]);
  const io::BlockWeights weights = random_weights(spec_of(row), 7);
  const std::vector<float> x = input_of(row);
  const std::vector<float> expected = TestBlock(weights, row.shape, options_of(row)).run(x);
  const Pool shared = make_pool(2);
  for (pthreadpool_t pool : {shared.get(), pthreadpool_t{nullptr}}) {
    TestBlock blocks[3] = {{weights, row.shape, options_of(row, 2), 0, pool},
                           {weights, row.shape, options_of(row, 2), 0, pool},
                           {weights, row.shape, options_of(row, 2), 0, pool}};
    std::atomic<int> right = 0;
    std::vector<std::thread> threads;
    for (TestBlock& block : blocks) {
      threads.emplace_back([&] {
        std::vector<float> y(x.size());
        for (int repeat = 0; repeat < repeats(20); ++repeat)
          right += block.block().run(x.data(), y.data()).ok() && same_bits(y, expected) ? 1 : 0;
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(right == 3 * repeats(20));
  }
}

TEST_CASE("a batch gives the bits of its images one by one, with shared operands or not") {
  for (const Row& listed : kRows) {
    const Row row = sized(listed);
    if (row.shape.batch == 1) continue;
    CAPTURE(row.what);
    const io::BlockWeights weights = random_weights(spec_of(row), 6);
    const std::vector<float> x = input_of(row);
    const std::size_t image = x.size() / row.shape.batch;
    TestBlock single(weights, {1, row.shape.height, row.shape.width}, options_of(row));
    std::vector<float> expected;
    for (std::size_t b = 0; b < row.shape.batch; ++b) {
      const auto begin = x.begin() + static_cast<std::ptrdiff_t>(b * image);
      const std::vector<float> y = single.run({begin, begin + static_cast<std::ptrdiff_t>(image)});
      expected.insert(expected.end(), y.begin(), y.end());
    }
    for (const std::size_t threads : {2u, 3u, 4u, 8u}) {
      CAPTURE(threads);
      PlanOptions options = options_of(row, threads);
      TestBlock block(weights, row.shape, options);
      CHECK(same_bits(block.run(x), expected));
      if (block.plan().operand_sets == 1 || row.shape.tokens() < 64) continue;  // of so small ones, binding takes most
      options.scratch_budget_bytes = block.plan().scratch_bytes - 1;
      TestBlock shared(weights, row.shape, options);
      CHECK(shared.plan().operand_sets == 1);
      CHECK(same_bits(shared.run(x), expected));
    }
  }
}

TEST_CASE("in place gives the same bits, with operands of each thread's own or shared ones") {
  for (const Row& listed : kRows) {
    const Row row = sized(listed);
    CAPTURE(row.what);
    const io::BlockWeights weights = random_weights(spec_of(row), 8);
    const std::vector<float> x = input_of(row);
    const std::vector<float> expected = TestBlock(weights, row.shape, options_of(row)).run(x);
    for (const std::size_t threads : {1u, 2u, 3u, 4u}) {
      CAPTURE(threads);
      TestBlock block(weights, row.shape, options_of(row, threads));
      for (int repeat = 0; repeat < repeats(9); ++repeat) {
        std::vector<float> y = x;
        block.run_in_place(y);
        CHECK(same_bits(y, expected));
      }
    }
  }
}

}  // namespace
}  // namespace edgeattn::test
