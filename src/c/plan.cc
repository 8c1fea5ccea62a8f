#include <algorithm>
#include <string_view>

#include "block/spans.h"
#include "c/arguments.h"
#include "c/objects.h"
#include "c/report.h"
#include "c/versioned.h"
#include "gemm/builtin.h"
#include "plan/sizes.h"

namespace edgeattn::c {
namespace {

static_assert(EDGEATTN_ALIGNMENT == Plan::kAlignment);

Status make_plan(std::span<std::byte> memory, const edgeattn_spec* given_spec, const edgeattn_shape* given_shape,
                 const edgeattn_options* given_options, edgeattn_plan** made) noexcept {
  if (made == nullptr) return is_null("plan");
  EDGEATTN_TRY(check_span("plan", memory, kHeaderBytes<edgeattn_plan>));
  Spec spec;
  Shape shape;
  PlanOptions options;
  Machine machine = detect_machine();
  GemmChoice gemm = GemmChoice::kAuto;
  EDGEATTN_TRY(read_spec(given_spec, spec));
  EDGEATTN_TRY(read_shape(given_shape, shape));
  EDGEATTN_TRY(read_options(given_options, options, machine, gemm));
  auto* const object = place<edgeattn_plan>(memory.data());
  EDGEATTN_TRY(gemm_traits(machine, object->gemm, gemm));
  EDGEATTN_TRY(plan(spec, shape, options, machine, object->gemm, object->plan));
  *made = object;
  return {};
}

Status describe_plan(const edgeattn_plan* object, edgeattn_plan_info* info) noexcept {
  if (object == nullptr) return is_null("plan");
  const Plan& plan = object->plan;
  const Bytes bytes = bytes_of(plan);
  const bool own_products = builtin::is_name(plan.gemm_name);
  const edgeattn_plan_info known{.size = sizeof known,
                                 .prepared_bytes = bytes.prepared,
                                 .persistent_bytes = bytes.persistent,
                                 .scratch_bytes = bytes.scratch,
                                 .external_bytes = bytes.external,
                                 .threads = plan.threads,
                                 .query_tile = plan.query_tile,
                                 .key_block = plan.key_block,
                                 .isa = static_cast<edgeattn_isa>(plan.isa),
                                 .budget_reduced_keys = plan.budget_reduced_keys,
                                 .precision = static_cast<edgeattn_precision>(plan.precision),
                                 .gemm = own_products ? EDGEATTN_GEMM_BUILTIN : EDGEATTN_GEMM_XNNPACK};
  return write_struct("info", &known, sizeof known, EDGEATTN_SIZE_UP_TO(edgeattn_plan_info, budget_reduced_keys),
                      Cut::kAllowed, info);
}

Status sum_memory(const edgeattn_plan* const* plans, std::size_t count, edgeattn_memory* memory) noexcept {
  if (plans == nullptr && count != 0) return is_null("plans");
  Bytes sum{};
  for (std::size_t i = 0; i < count; ++i) {
    if (plans[i] == nullptr) return Status::error(StatusCode::kInvalidArgument, "plans[", i, "] is null");
    const Bytes bytes = bytes_of(plans[i]->plan);
    sum = {.prepared = sizes::add(sum.prepared, bytes.prepared),
           .persistent = sizes::add(sum.persistent, bytes.persistent),
           .scratch = std::max(sum.scratch, bytes.scratch),
           .external = sizes::add(sum.external, bytes.external)};
  }
  if (std::max({sum.prepared, sum.persistent, sum.external}) == sizes::kTooLarge)
    return Status::error(StatusCode::kInvalidArgument, "the plans together need more bytes than can be addressed");
  const edgeattn_memory known{.size = sizeof known,
                              .prepared_bytes = sum.prepared,
                              .persistent_bytes = sum.persistent,
                              .scratch_bytes = sum.scratch,
                              .external_bytes = sum.external};
  return write_struct("memory", &known, sizeof known, EDGEATTN_SIZE_UP_TO(edgeattn_memory, external_bytes), Cut::kAllowed,
                      memory);
}

}  // namespace
}  // namespace edgeattn::c

using namespace edgeattn;

edgeattn_status edgeattn_initialize(edgeattn_message* message) {
  // Plans of this processor may take XNNPACK if they ask for it, so it is initialised also where it is not chosen by itself.
  Gemm gemm;
  const Status status = gemm_traits(detect_machine(), gemm, GemmChoice::kXnnpack);
  return c::report(status.code() == StatusCode::kOutOfMemory ? status : Status{}, message);
}

size_t edgeattn_plan_bytes() { return c::kHeaderBytes<edgeattn_plan>; }

edgeattn_status edgeattn_make_plan(void* memory, size_t memory_bytes, const edgeattn_spec* spec, const edgeattn_shape* shape,
                                   const edgeattn_options* options, edgeattn_plan** plan, edgeattn_message* message) {
  return c::report(c::make_plan(c::span_of(memory, memory_bytes), spec, shape, options, plan), message);
}

edgeattn_status edgeattn_describe_plan(const edgeattn_plan* plan, edgeattn_plan_info* info, edgeattn_message* message) {
  return c::report(c::describe_plan(plan, info), message);
}

edgeattn_status edgeattn_sum_memory(const edgeattn_plan* const* plans, size_t count, edgeattn_memory* memory,
                                    edgeattn_message* message) {
  return c::report(c::sum_memory(plans, count, memory), message);
}
