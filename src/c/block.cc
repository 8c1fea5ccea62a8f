#include "edgeattn/block.h"

#include "block/spans.h"
#include "c/arguments.h"
#include "c/objects.h"
#include "c/report.h"

namespace edgeattn::c {
namespace {

Status prepare(const edgeattn_plan* object, const edgeattn_weights* given, std::span<std::byte> memory,
               const edgeattn_prepared** made) noexcept {
  if (object == nullptr) return is_null("plan");
  if (made == nullptr) return is_null("prepared");
  const Plan& plan = object->plan;
  Weights weights;
  pthreadpool_t pool = nullptr;
  EDGEATTN_TRY(read_weights(given, weights, pool));
  EDGEATTN_TRY(check_span("prepared", memory, bytes_of(plan).prepared));
  auto* const result = place<edgeattn_prepared>(memory.data());
  EDGEATTN_TRY(edgeattn::prepare(plan.spec, weights, plan.machine, object->gemm,
                                 memory.subspan(kHeaderBytes<edgeattn_prepared>), result->prepared,
                                 {.precision = plan.precision, .isa = plan.isa}, pool));
  *made = result;
  return {};
}

Status bind(const edgeattn_plan* object, const edgeattn_prepared* prepared, std::span<std::byte> persistent,
            std::span<std::byte> scratch, pthreadpool_t pool, edgeattn_block** made) noexcept {
  if (object == nullptr) return is_null("plan");
  if (prepared == nullptr) return is_null("prepared");
  if (made == nullptr) return is_null("block");
  const Plan& plan = object->plan;
  EDGEATTN_TRY(check_span("persistent", persistent, bytes_of(plan).persistent));
  auto* const result = place<edgeattn_block>(persistent.data());
  EDGEATTN_TRY(edgeattn::bind(plan, prepared->prepared, persistent.subspan(kHeaderBytes<edgeattn_block>), scratch, pool,
                              result->block));
  *made = result;
  return {};
}

Status run(edgeattn_block* object, const float* x, float* y) noexcept {
  return object != nullptr ? object->block.run(x, y) : is_null("block");
}

}  // namespace
}  // namespace edgeattn::c

using namespace edgeattn;

edgeattn_status edgeattn_prepare(const edgeattn_plan* plan, const edgeattn_weights* weights, void* memory, size_t memory_bytes,
                                 const edgeattn_prepared** prepared, edgeattn_message* message) {
  return c::report(c::prepare(plan, weights, c::span_of(memory, memory_bytes), prepared), message);
}

edgeattn_status edgeattn_bind(const edgeattn_plan* plan, const edgeattn_prepared* prepared, void* persistent,
                              size_t persistent_bytes, void* scratch, size_t scratch_bytes, pthreadpool_t pool,
                              edgeattn_block** block, edgeattn_message* message) {
  return c::report(c::bind(plan, prepared, c::span_of(persistent, persistent_bytes), c::span_of(scratch, scratch_bytes), pool,
                           block),
                   message);
}

edgeattn_status edgeattn_run(edgeattn_block* block, const float* x, float* y, edgeattn_message* message) {
  return c::report(c::run(block, x, y), message);
}
