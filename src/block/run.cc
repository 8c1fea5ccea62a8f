#include <algorithm>
#include <cstdint>

#include "block/run_context.h"
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

/// Hands out the next `run.image_count` images.
void take_images(const RunContext& run, const float* x, float* y) noexcept {
  const std::size_t values = run.channels() * run.tokens();
  for (std::size_t i = 0; i < run.image_count; ++i) {
    run.images[i].x = x + i * values;
    run.images[i].y = y + i * values;
  }
}

}  // namespace

Status Block::run(const float* x, float* y, Profile* profile) noexcept {
  if (slots_ == nullptr) return Status::error(StatusCode::kInvalidArgument, "the block is not bound");
  const std::size_t image = plan_.spec.channels * plan_.shape.tokens();
  EDGEATTN_TRY(check_buffers(x, y, plan_.shape.batch * image * sizeof(float)));

  PhaseTimes times;
  RunContext run{.plan = plan_,
                 .prepared = prepared_,
                 .kernels = {},
                 .slots = slots_,
                 .images = images_,
                 .image_count = 0,
                 .pool = pool_,
                 .times = profile != nullptr ? &times : nullptr};
  kernels_init(run.kernels, kernel_set(plan_.isa));
  for (std::size_t b = 0; b < plan_.shape.batch; b += run.image_count) {
    run.image_count = std::min(plan_.images_at_once, plan_.shape.batch - b);
    take_images(run, x + b * image, y + b * image);
    statistics(run);
    normalize_and_pack(run);
    query_tiles(run);
  }
  if (profile != nullptr) times.add_to(*profile);
  if (run.refused.load(std::memory_order_relaxed)) return Status::error(StatusCode::kGemm, "XNNPACK refused a product");
  return {};
}

}  // namespace edgeattn
