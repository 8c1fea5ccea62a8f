#include "cli/bound_block.h"

#include <exception>
#include <latch>
#include <thread>
#include <utility>
#include <vector>

#include "cli/failure.h"
#include "cli/stopwatch.h"

namespace edgeattn::cli {
namespace {

/// Throws Failure if the system does not start the threads of a pool: pthreadpool would wait for them forever.
void rehearse_pool(std::size_t count) {
  std::latch release(1);
  std::vector<std::jthread> threads;
  try {
    while (threads.size() + 1 < count) threads.emplace_back([&] { release.wait(); });
  } catch (const std::exception& error) {
    release.count_down();
    throw Failure("cannot start " + std::to_string(count) + " threads: " + error.what());
  }
  release.count_down();
}

}  // namespace

PlannedBlock plan_block(const Spec& spec, const Shape& shape, const BlockOptions& options, const std::string& context) {
  PlannedBlock planned{.machine = detect_machine(), .gemm = {}, .plan = {}};
  if (options.l2_bytes) {
    planned.machine.l2_bytes = *options.l2_bytes;
    planned.machine.l2_sharing_processors = 1;
  }
  check(gemm_traits(planned.machine, planned.gemm, options.gemm));
  check(plan(spec, shape, plan_options(options, planned.machine), planned.machine, planned.gemm, planned.plan), context);
  return planned;
}

Pool make_pool(std::size_t threads) {
  if (threads == 1) return nullptr;
  rehearse_pool(threads);
  Pool pool(pthreadpool_create(threads));
  if (pool == nullptr) throw Failure("cannot start " + std::to_string(threads) + " threads");
  return pool;
}

Span::Span(const char* name, std::size_t bytes) : bytes_(bytes) {
  const std::size_t whole = (bytes / Plan::kAlignment + 1) * Plan::kAlignment;
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(Plan::kAlignment, whole)));
  if (memory_ == nullptr) throw Failure("no memory for " + std::to_string(bytes) + " bytes of " + name);
}

BoundBlock::BoundBlock(const PlannedBlock& planned, const io::BlockWeights& weights, std::string context)
    : context_(std::move(context)),
      prepared_memory_("prepared weights", planned.plan.prepared_bytes),
      persistent_("persistent memory", planned.plan.persistent_bytes),
      scratch_("scratch", planned.plan.scratch_bytes),
      pool_(make_pool(planned.plan.threads)) {
  const Stopwatch watch;
  Prepared prepared;
  check(prepare(weights.spec, weights.view(), planned.machine, planned.gemm, prepared_memory_.get(), prepared,
                {.precision = planned.plan.precision, .isa = planned.plan.isa}, pool_.get()),
        context_);
  check(edgeattn::bind(planned.plan, prepared, persistent_.get(), scratch_.get(), pool_.get(), block_), context_);
  bind_ms_ = watch.milliseconds();
}

void BoundBlock::run(const float* x, float* y, Profile* profile) { check(block_.run(x, y, profile), context_); }

}  // namespace edgeattn::cli
