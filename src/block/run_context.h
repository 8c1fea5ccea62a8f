#pragma once

#include <atomic>
#include <cstddef>

#include "block/image_work.h"
#include "block/parallel.h"
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
  Slot* slots;             ///< [threads]
  ImageWork* works;        ///< [plan.operand_sets]
  std::size_t team_slots;  ///< slots that work on each image: slot s on image s / team_slots
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
  /// The operands of one head in one key block.
  [[nodiscard]] Panels keys(const ImageWork& work, std::size_t head, std::size_t block) const noexcept;
  [[nodiscard]] Panels values(const ImageWork& work, std::size_t head, std::size_t block) const noexcept;

  /// A product of the slot's operator `op` with `rows` rows.
  void multiply(const Operator& op, const float* operand, std::size_t rows, const float* input, float* output) noexcept {
    if (!run_operator(op, operand, rows, input, output)) refused.store(true, std::memory_order_relaxed);
  }
  /// Writes x̂ of the tokens [first, first + rows) to the slot's `normalized`. For several heads.
  void normalize_rows(const ImageWork& work, const Slot& slot, std::size_t first, std::size_t rows) const noexcept;
};

/// Step 1. Finds the coefficients of an image, or that a value of it is not finite.
void statistics(RunContext& run, const Team& team, ImageWork& work) noexcept;

/// Step 2. Writes x̂, or with several heads K and V, into the operands of the score and the mixing GEMM.
void normalize_and_pack(RunContext& run, const Team& team, const ImageWork& work) noexcept;

/// Step 3, of one slot. Computes query tiles of the slot's image, until its team has done all of them.
void query_tiles(RunContext& run, std::size_t slot, const ImageWork& work) noexcept;

/// Shares the tiles out for step 3, before any slot begins with it.
void share_tiles(RunContext& run) noexcept;

}  // namespace edgeattn
