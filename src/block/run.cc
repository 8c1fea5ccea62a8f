#include <algorithm>
#include <cstdint>

#include "block/run_context.h"
#include "edgeattn/block.h"
#include "float_scope.h"
#include "plan/isa.h"
#include "plan/precision.h"

namespace edgeattn {
namespace {

Status check_buffers(const float* x, const float* y, std::size_t bytes) noexcept {
  if (x == nullptr || y == nullptr)
    return Status::error(StatusCode::kInvalidArgument, x == nullptr ? "x" : "y", " is null");
  const auto in = reinterpret_cast<std::uintptr_t>(x);
  const auto out = reinterpret_cast<std::uintptr_t>(y);
  if (in % alignof(float) != 0 || out % alignof(float) != 0)
    return Status::error(StatusCode::kInvalidArgument, in % alignof(float) != 0 ? "x" : "y",
                         " is not aligned to 4 bytes");
  const std::uintptr_t distance = in < out ? out - in : in - out;
  if (distance != 0 && distance < bytes)
    return Status::error(StatusCode::kInvalidArgument, "x and y overlap in part: they must be ", bytes,
                         " bytes apart or the same, and are ", distance, " apart");
  return {};
}

/// Runs the next images, one for every `run.team_slots` slots.
void run_images(RunContext& run, const float* x, float* y) noexcept {
  const Plan& plan = run.plan;
  for (std::size_t i = 0; i < plan.operand_sets; ++i) {
    const std::size_t offset = i / run.team_slots * run.channels() * run.tokens();
    run.works[i].x = x + offset;
    run.works[i].y = y + offset;
  }
  share_tiles(run);
  if (plan.operand_sets == 1) {
    const Team all{.pool = run.pool, .slots = plan.threads};
    statistics(run, all, run.works[0]);
    normalize_and_pack(run, all, run.works[0]);
    for_each_slot(run.pool, plan.threads, [&](std::size_t slot) { query_tiles(run, slot, run.works[0]); });
    return;
  }
  // Every slot makes its own operands. Where outputs overwrite inputs that its team still reads, it has to wait for the team.
  const bool wait = run.team_slots > 1 && x == y;
  for_each_slot(run.pool, plan.threads, [&](std::size_t slot) {
    const Team alone{.first = slot};
    statistics(run, alone, run.works[slot]);
    normalize_and_pack(run, alone, run.works[slot]);
    if (!wait) query_tiles(run, slot, run.works[slot]);
  });
  if (wait) for_each_slot(run.pool, plan.threads, [&](std::size_t slot) { query_tiles(run, slot, run.works[slot]); });
}

}  // namespace

Status Block::run(const float* x, float* y, Profile* profile) noexcept {
  const FloatScope scope(Denormals::kFlushed);
  if (slots_ == nullptr) return Status::error(StatusCode::kInvalidArgument, "the block is not bound");
  const std::size_t image = plan_.spec.channels * plan_.shape.tokens();
  EDGEATTN_TRY(check_buffers(x, y, plan_.shape.batch * image * sizeof(float)));

  ReducedSet set = ReducedSet::kScalar;
  EDGEATTN_TRY(choose_reduced(plan_.precision, plan_.isa, plan_.machine, set));

  PhaseTimes times;
  RunContext run{.plan = plan_,
                 .prepared = prepared_,
                 .kernels = {},
                 .reduced = ReducedTable(set),
                 .slots = slots_,
                 .works = works_,
                 .team_slots = plan_.threads,
                 .pool = pool_,
                 .times = profile != nullptr ? &times : nullptr};
  kernels_init(run.kernels, kernel_set(plan_.isa));
  for (std::size_t done = 0; done < plan_.shape.batch;) {
    const std::size_t images = images_at_once(plan_, plan_.shape.batch - done);
    run.team_slots = plan_.threads / images;
    run_images(run, x + done * image, y + done * image);
    done += images;
  }
  if (profile != nullptr) times.add_to(*profile);
  if (run.refused.load(std::memory_order_relaxed)) return Status::error(StatusCode::kGemm, "XNNPACK refused a product");
  return {};
}

}  // namespace edgeattn
