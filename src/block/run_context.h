#pragma once

#include <atomic>
#include <cstddef>

#include "block/image_work.h"
#include "block/phase_clock.h"
#include "block/slot.h"
#include "edgeattn/block.h"
#include "kernels.h"
#include "plan/memory_map.h"
#include "plan/tiles.h"

namespace edgeattn {

/// What the steps of a run share.
struct RunContext {
  const Plan& plan;
  const Prepared& prepared;
  Kernels kernels;
  const Slot* slots;        ///< [threads]
  ImageWork* images;        ///< [plan.images_at_once]
  std::size_t image_count;  ///< how many of them hold an image now
  pthreadpool_t pool;
  PhaseTimes* times;                 ///< null without a profile
  std::atomic<bool> refused{false};  ///< XNNPACK refused a product

  [[nodiscard]] std::size_t channels() const noexcept { return plan.spec.channels; }
  [[nodiscard]] std::size_t tokens() const noexcept { return plan.shape.tokens(); }
  [[nodiscard]] std::size_t token_stride() const noexcept { return plan.layout == Layout::kNchw ? 1 : channels(); }
  [[nodiscard]] std::size_t channel_stride() const noexcept { return plan.layout == Layout::kNchw ? tokens() : 1; }

  [[nodiscard]] std::size_t keys_in(std::size_t block) const noexcept {
    return block + 1 == plan.key_blocks ? plan.last_key_block : plan.key_block;
  }
  /// The operands of one key block.
  [[nodiscard]] Panels keys(const ImageWork& image, std::size_t block) const noexcept;
  [[nodiscard]] Panels values(const ImageWork& image, std::size_t block) const noexcept;
};

/// Region 1. Finds the coefficients of every image, or that a value of it is not finite.
void statistics(RunContext& run) noexcept;

/// Region 2. Writes x̂ into the operands of the score and the mixing GEMM.
void normalize_and_pack(RunContext& run) noexcept;

/// Region 3. Computes every query tile.
void query_tiles(RunContext& run) noexcept;

}  // namespace edgeattn
