#include "cli/bound_block.h"

#include <utility>

#include "cli/failure.h"
#include "cli/stopwatch.h"

namespace edgeattn::cli {

PlannedBlock plan_block(const Spec& spec, const Shape& shape, const BlockOptions& options, const std::string& context) {
  PlannedBlock planned{.machine = detect_machine(), .gemm = {}, .plan = {}};
  if (options.l2_bytes) {
    planned.machine.l2_bytes = *options.l2_bytes;
    planned.machine.l2_sharing_processors = 1;
  }
  check(gemm_traits(planned.machine, planned.gemm));
  check(plan(spec, shape, plan_options(options, planned.machine), planned.machine, planned.gemm, planned.plan), context);
  return planned;
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
      scratch_("scratch", planned.plan.scratch_bytes) {
  if (const std::size_t threads = planned.plan.threads; threads > 1) {
    pool_.reset(pthreadpool_create(threads));
    if (pool_ == nullptr) throw Failure("cannot start " + std::to_string(threads) + " threads");
  }
  const Stopwatch watch;
  Prepared prepared;
  check(prepare(weights.spec, weights.view(), planned.machine, planned.gemm, prepared_memory_.get(), prepared), context_);
  check(edgeattn::bind(planned.plan, prepared, persistent_.get(), scratch_.get(), pool_.get(), block_), context_);
  bind_ms_ = watch.milliseconds();
}

void BoundBlock::run(const float* x, float* y, Profile* profile) { check(block_.run(x, y, profile), context_); }

}  // namespace edgeattn::cli
