#include <algorithm>
#include <cstdint>
#include <limits>

#include "block/run_context.h"
#include "block/spans.h"
#include "edgeattn/block.h"
#include "plan/isa.h"

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

void run_image(RunContext& run, const float* x, float* y) noexcept {
  Coefficients coefficients;
  if (!statistics(run, x, coefficients)) {
    std::fill_n(y, run.channels() * run.tokens(), std::numeric_limits<float>::quiet_NaN());
    return;
  }
  normalize_and_pack(run, x, coefficients);
  query_tiles(run, x, y);
}

}  // namespace

Status Block::run(const float* x, float* y, Profile* profile) noexcept {
  if (scratch_ == nullptr) return Status::error(StatusCode::kInvalidArgument, "the block is not bound");
  const std::size_t image = plan_.spec.channels * plan_.shape.tokens();
  EDGEATTN_TRY(check_buffers(x, y, plan_.shape.batch * image * sizeof(float)));

  PhaseTimes times;
  RunContext run{.plan = plan_,
                 .prepared = prepared_,
                 .kernels = {},
                 .operators = reinterpret_cast<SlotOperators*>(floats_at(persistent_, plan_, region::kOperatorTable)),
                 .pool = pool_,
                 .scratch = scratch_,
                 .times = profile != nullptr ? &times : nullptr};
  kernels_init(run.kernels, kernel_set(plan_.isa));
  for (std::size_t b = 0; b < plan_.shape.batch; ++b) run_image(run, x + b * image, y + b * image);
  if (profile != nullptr) times.add_to(*profile);
  if (run.refused.load(std::memory_order_relaxed)) return Status::error(StatusCode::kGemm, "XNNPACK refused a product");
  return {};
}

}  // namespace edgeattn
