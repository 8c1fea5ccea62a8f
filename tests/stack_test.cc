#include <pthread.h>

#include <algorithm>
#include <cstdio>
#include <functional>

#include "harness.h"

/// How much stack runs and prepare take, XNNPACK's part included: a thread calls them on a stack that was painted before.
namespace edgeattn::test {
namespace {

// What docs/embedding.md tells hosts.
constexpr std::size_t kMostBytes = 16 << 10, kMostPrepareBytes = 32 << 10;
constexpr std::byte kPaint{0xA5};

struct Job {
  std::function<Status()> work;
  bool ok = false;
  std::byte* top = nullptr;  ///< where the stack of `work` begins
};

void* run_job(void* argument) {
  auto& job = *static_cast<Job*>(argument);
  job.top = static_cast<std::byte*>(__builtin_frame_address(0));
  job.ok = job.work().ok();
  return nullptr;
}

/// Bytes of stack between the caller of `work` and the deepest byte written.
std::size_t stack_of(Job& job) {
  constexpr std::size_t kStackBytes = 512 << 10;
  const Pages stack(kStackBytes);
  std::fill(stack.begin(), stack.end(), kPaint);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  REQUIRE(pthread_attr_setstack(&attributes, stack.begin(), kStackBytes) == 0);
  pthread_t thread;
  REQUIRE(pthread_create(&thread, &attributes, run_job, &job) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  const std::byte* const deepest = std::find_if(stack.begin(), stack.end(), [](std::byte value) { return value != kPaint; });
  REQUIRE(deepest < job.top);
  return static_cast<std::size_t>(job.top - deepest);
}

struct Row {
  Spec spec;
  Shape shape;
  PlanOptions options;
};

const Row kRows[] = {
    {{.channels = 64}, {2, 16, 16}, {}},
    {{.channels = 40, .groups = 8}, {1, 29, 31}, {.layout = Layout::kNhwc}},
    {{.channels = 33, .groups = 3}, {1, 17, 19}, {.key_block = 32}},
    {{.channels = 20, .norm = Norm::kNone}, {1, 5, 5}, {}},
    {{.channels = 48, .norm = Norm::kBatch, .heads = 3}, {2, 16, 17}, {}},
    {{.channels = 512}, {1, 8, 8}, {}},
};

TEST_CASE("a run takes at most 16 KiB of stack") {
  std::size_t most = 0;
  for (const Row& row : kRows) {
    CAPTURE(row.spec.channels);
    for (std::size_t threads : {1u, 2u}) {  // the calling thread is one of the workers
      PlanOptions options = row.options;
      options.threads = threads;
      TestBlock block(random_weights(row.spec, 62), row.shape, options);
      std::mt19937_64 engine = random_engine(62);
      const std::vector<float> x = normal_values(engine, row.shape.batch * row.spec.channels * row.shape.tokens());
      std::vector<float> y(x.size());
      Job job{.work = [&] { return block.block().run(x.data(), y.data()); }};
      const std::size_t bytes = stack_of(job);
      CHECK(job.ok);
      CHECK(bytes <= kMostBytes);
      CHECK(same_bits(y, block.run(x)));
      most = std::max(most, bytes);
    }
  }
  std::printf("stack of a run: %zu bytes at most\n", most);
}

TEST_CASE("prepare takes at most 32 KiB of stack") {
  std::size_t most = 0;
  const Pool two = make_pool(2);
  for (const Row& row : kRows) {
    CAPTURE(row.spec.channels);
    const io::BlockWeights weights = random_weights(row.spec, 63);
    std::size_t bytes = 0;
    REQUIRE_OK(prepared_bytes(row.spec, detect_machine(), gemm(), bytes, format_under_test()));
    AlignedBytes memory(bytes);
    for (const pthreadpool_t pool : {pthreadpool_t{nullptr}, two.get()}) {
      Prepared prepared;
      Job job{.work = [&] {
        return prepare(row.spec, weights.view(), detect_machine(), gemm(), {memory.data(), bytes}, prepared, format_under_test(), pool);
      }};
      const std::size_t taken = stack_of(job);
      CHECK(job.ok);
      CHECK(taken <= kMostPrepareBytes);
      most = std::max(most, taken);
    }
  }
  std::printf("stack of prepare: %zu bytes at most\n", most);
}

}  // namespace
}  // namespace edgeattn::test
