#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "harness.h"
#include "kernel_checker.h"
#include "thread_sanitizer.h"

/// Threads at once, one after another, and after a fork. tools/sanitize.sh thread runs them under ThreadSanitizer.
namespace edgeattn::test {
namespace {

struct Case {
  const char* what;
  Spec spec;
  Shape shape;
  Layout layout = Layout::kNchw;
  std::size_t key_block = 0;
};

const Case kCases[] = {
    {"threads share an image and several key blocks", {.channels = 24, .groups = 3}, {1, 13, 11}, Layout::kNchw, 32},
    {"threads pack for themselves, NHWC", {.channels = 16, .groups = 4}, {2, 5, 7}, Layout::kNhwc},
    {"several heads", {.channels = 24, .groups = 3, .heads = 3}, {2, 9, 8}, Layout::kNchw, 32},
    {"batch norm", {.channels = 10, .norm = Norm::kBatch}, {3, 4, 9}},
};

std::vector<float> input_of(const Case& row) {
  std::mt19937_64 engine = random_engine(row.shape.tokens());
  return normal_values(engine, row.shape.batch * row.spec.channels * row.shape.tokens());
}

PlanOptions options_of(const Case& row, std::size_t threads) {
  return {.layout = row.layout, .threads = threads, .key_block = row.key_block};
}

/// Threads do not depend on the kernels, so only the best of those are tried thoroughly.
bool thorough() { return !sample() && isa() == detect_machine().best_isa(); }

int repeats(int count) { return thorough() ? count : count / 4 + 1; }

/// Runs `block` so often; how many of the results are `expected`.
int count_right(Block& block, const std::vector<float>& x, const std::vector<float>& expected, int runs) {
  std::vector<float> y(x.size());
  int right = 0;
  for (int i = 0; i < runs; ++i) {
    std::fill(y.begin(), y.end(), 42.0f);
    if (block.run(x.data(), y.data()).ok() && same_bits(y, expected)) ++right;
  }
  return right;
}

TEST_CASE("pools of 1 to 8 threads") {
  for (const Case& row : kCases) {
    CAPTURE(std::string(row.what));
    const io::BlockWeights weights = random_weights(row.spec, 91);
    const std::vector<float> x = input_of(row);
    const std::vector<float> expected = TestBlock(weights, row.shape, options_of(row, 1)).run(x);
    for (std::size_t pool_threads = 1; pool_threads <= 8; ++pool_threads) {
      CAPTURE(pool_threads);
      const Pool pool(pthreadpool_create(pool_threads));
      for (const std::size_t slots : {pool_threads, std::size_t{2}, std::size_t{5}}) {
        TestBlock block(weights, row.shape, options_of(row, slots), 0, pool.get());
        CHECK(count_right(block.block(), x, expected, repeats(8)) == repeats(8));
        std::vector<float> y = x;
        block.run_in_place(y);
        CHECK(same_bits(y, expected));
      }
    }
  }
}

TEST_CASE("several blocks at once: each with a pool of its own, all on one, or without") {
  constexpr std::size_t kThreads = 4;
  for (const Case& row : kCases) {
    CAPTURE(std::string(row.what));
    const io::BlockWeights weights = random_weights(row.spec, 92);
    const std::vector<float> x = input_of(row);
    const std::vector<float> expected = TestBlock(weights, row.shape, options_of(row, 1)).run(x);
    const Pool shared(pthreadpool_create(3));
    struct Setting {
      std::size_t slots;
      pthreadpool_t pool;
    };
    for (const Setting& setting : {Setting{3, nullptr}, Setting{3, shared.get()}, Setting{1, nullptr}}) {
      std::vector<std::unique_ptr<TestBlock>> blocks;
      for (std::size_t i = 0; i < kThreads; ++i)
        blocks.push_back(std::make_unique<TestBlock>(weights, row.shape, options_of(row, setting.slots), 0, setting.pool));
      std::atomic<int> right{0};
      {
        std::vector<std::jthread> threads;
        for (const auto& block : blocks)
          threads.emplace_back([&] { right += count_right(block->block(), x, expected, repeats(20)); });
      }
      CHECK(right == static_cast<int>(kThreads) * repeats(20));
    }
  }
}

/// A block made from nothing, by calls that any thread may make at any time.
Status make_and_run(const Case& row, const io::BlockWeights& weights, pthreadpool_t pool, std::size_t threads,
                    const std::vector<float>& x, std::vector<float>& y) {
  const Machine machine = detect_machine();
  Gemm traits;
  Plan planned;
  Prepared prepared;
  Block block;
  EDGEATTN_TRY(gemm_traits(machine, traits, gemm_choice()));
  EDGEATTN_TRY(plan(row.spec, row.shape, options_under_test(options_of(row, threads)), machine, traits, planned));
  AlignedBytes memory(planned.prepared_bytes), persistent(planned.persistent_bytes), scratch(planned.scratch_bytes);
  EDGEATTN_TRY(prepare(row.spec, weights.view(), machine, traits, {memory.data(), memory.size()}, prepared, format_under_test()));
  EDGEATTN_TRY(edgeattn::bind(planned, prepared, {persistent.data(), persistent.size()}, {scratch.data(), scratch.size()}, pool,
                              block));
  return block.run(x.data(), y.data());
}

TEST_CASE("planning, preparing and binding while other blocks run, on the same pool") {
  for (const Case& row : kCases) {
    CAPTURE(std::string(row.what));
    const io::BlockWeights weights = random_weights(row.spec, 93);
    const std::vector<float> x = input_of(row);
    const Pool pool(pthreadpool_create(2));
    TestBlock running(weights, row.shape, options_of(row, 2), 0, pool.get());
    const std::vector<float> expected = running.run(x);
    std::atomic<int> right{0}, made{0};
    std::atomic<bool> done{false};
    {
      const std::jthread runner([&] {
        while (!done) right += count_right(running.block(), x, expected, 1) - 1;
      });
      std::vector<std::jthread> makers;
      for (const pthreadpool_t on : {pool.get(), pthreadpool_t{nullptr}}) {
        makers.emplace_back([&, on] {
          std::vector<float> y(x.size());
          for (int i = 0; i < repeats(8); ++i)
            if (make_and_run(row, weights, on, 3, x, y).ok() && same_bits(y, expected)) ++made;
        });
      }
      makers.clear();
      done = true;
    }
    CHECK(right == 0);
    CHECK(made == 2 * repeats(8));
  }
}

/// The bytes that prepare makes of `weights`; all of the span.
std::vector<std::byte> prepared_on(pthreadpool_t pool, const io::BlockWeights& weights) {
  std::size_t bytes = 0;
  REQUIRE_OK(prepared_bytes(weights.spec, detect_machine(), gemm(), bytes, format_under_test()));
  AlignedBytes memory(bytes);
  std::fill_n(memory.data(), bytes, std::byte{0x5A});
  Prepared prepared;
  REQUIRE_OK(prepare(weights.spec, weights.view(), detect_machine(), gemm(), {memory.data(), bytes}, prepared,
                     format_under_test(), pool));
  return {memory.data(), memory.data() + bytes};
}

TEST_CASE("weights are prepared alike on pools of 1, 2, 3 and 8 threads, and without") {
  for (const Spec& spec : {Spec{.channels = 97, .norm = Norm::kInstance}, Spec{.channels = 96, .heads = 3}}) {
    CAPTURE(spec.channels);
    io::BlockWeights trained = random_weights(spec, 97);
    // A column of q so small that it comes out denormal, or 0: threads that do not agree on that would tell.
    for (std::size_t row = 0; row < spec.channels; ++row) trained.qkv_weight[row * spec.channels] = 3e-39f;
    std::vector<io::BlockWeights> forms{trained};
    if (spec.heads == 1) REQUIRE_OK(io::fold_block(trained, detect_machine(), forms.emplace_back()));
    for (const io::BlockWeights& weights : forms) {
      CAPTURE(weights.style);
      const std::vector<std::byte> expected = prepared_on(nullptr, weights);
      for (const bool flush : {false, true}) {
        CAPTURE(flush);
        for (const std::size_t threads : {1u, 2u, 3u, 8u}) {
          CAPTURE(threads);
          Pool pool;
          {
            const DenormalMode inherited(flush);
            pool.reset(pthreadpool_create(threads));
          }
          int alike = 0;
          for (int i = 0; i < repeats(4); ++i) alike += prepared_on(pool.get(), weights) == expected;
          CHECK(alike == repeats(4));
        }
      }
    }
  }
}

TEST_CASE("a block goes from thread to thread") {
  const Case& row = kCases[0];
  const std::vector<float> x = input_of(row);
  const Pool pool(pthreadpool_create(2));
  TestBlock block(random_weights(row.spec, 94), row.shape, options_of(row, 2), 0, pool.get());
  const std::vector<float> expected = block.run(x);
  int right = 0;
  for (int i = 0; i < 6; ++i) std::jthread([&] { right += count_right(block.block(), x, expected, 2); }).join();
  CHECK(right == 12);
}

/// Resident pages of this process.
long resident_pages() {
  long size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident;
}

TEST_CASE("10,000 runs take no memory") {
  const Case& row = kCases[0];
  const std::vector<float> x = input_of(row);
  const Pool pool(pthreadpool_create(2));
  TestBlock block(random_weights(row.spec, 95), row.shape, options_of(row, 2), 0, pool.get());
  const std::vector<float> expected = block.run(x);
  const int runs = thorough() ? 10'000 : 1000;
  CHECK(count_right(block.block(), x, expected, 100) == 100);
  const long before = resident_pages();
  REQUIRE(before > 0);
  CHECK(count_right(block.block(), x, expected, runs) == runs);
  const long grown = resident_pages() - before;
  std::printf("%d runs: %ld more resident pages\n", runs, grown);
  // The smallest block of malloc lost in every run would be 78 pages. The sanitizer's own memory grows.
  CHECK((EDGEATTN_TSAN || !thorough() || grown <= 16));
}

TEST_CASE("a forked child runs blocks without a pool, old ones and new") {
  for (const Case& row : kCases) {
    CAPTURE(std::string(row.what));
    const io::BlockWeights weights = random_weights(row.spec, 96);
    const std::vector<float> x = input_of(row);
    const Pool pool(pthreadpool_create(3));
    TestBlock pooled(weights, row.shape, options_of(row, 3), 0, pool.get()), alone(weights, row.shape, options_of(row, 1));
    const std::vector<float> expected = pooled.run(x);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      std::vector<float> y(x.size());
      if (count_right(alone.block(), x, expected, 2) != 2) _exit(1);
      _exit(make_and_run(row, weights, nullptr, 3, x, y).ok() && same_bits(y, expected) ? 0 : 2);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(same_bits(pooled.run(x), expected));
  }
}

}  // namespace
}  // namespace edgeattn::test
