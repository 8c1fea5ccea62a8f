#pragma once

#include <atomic>
#include <cstddef>

#include "block/operators.h"
#include "block/phase_clock.h"
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
  SlotOperators* operators;  ///< [threads]
  pthreadpool_t pool;
  std::byte* scratch;
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
  [[nodiscard]] Panels keys(std::size_t block) const noexcept;
  [[nodiscard]] Panels values(std::size_t block) const noexcept;
};

/// The norm of one image as x̂ = (x - mean)·scale + shift, each [channels].
struct Coefficients {
  const float* mean;
  const float* scale;
  const float* shift;
};

/// Region 1. Finds the coefficients of image `x`; false if a value of it is not finite.
bool statistics(RunContext& run, const float* x, Coefficients& coefficients) noexcept;

/// Region 2. Writes x̂ into the operands of the score and the mixing GEMM.
void normalize_and_pack(RunContext& run, const float* x, const Coefficients& coefficients) noexcept;

/// Region 3. Computes every query tile of the image.
void query_tiles(RunContext& run, const float* x, float* y) noexcept;

}  // namespace edgeattn
