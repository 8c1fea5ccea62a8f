#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>

#include "block/image_work.h"
#include "block/operands.h"
#include "block/parallel.h"
#include "block/phase_clock.h"
#include "block/slot.h"
#include "edgeattn/block.h"
#include "kernels.h"
#include "plan/memory_map.h"
#include "plan/precision.h"
#include "plan/tiles.h"

namespace edgeattn {

/// What the steps of a run share.
struct RunContext {
  const Plan& plan;
  const Prepared& prepared;
  Kernels kernels;
  ReducedTable reduced;    ///< for reduced precision
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
  /// The layout of the operands of a key block.
  [[nodiscard]] const PanelLayout& key_layout(std::size_t block) const noexcept {
    return block + 1 == plan.key_blocks ? plan.last_keys : plan.keys;
  }
  [[nodiscard]] const PanelLayout& value_layout(std::size_t block) const noexcept {
    return block + 1 == plan.key_blocks ? plan.last_values : plan.values;
  }
  /// The operands of one head in one key block.
  [[nodiscard]] std::byte* keys(const ImageWork& work, std::size_t head, std::size_t block) const noexcept {
    return work.keys + block * plan.spec.heads * operand_stride(plan.keys) + head * operand_stride(key_layout(block));
  }
  [[nodiscard]] std::byte* values(const ImageWork& work, std::size_t head, std::size_t block) const noexcept {
    return work.values + block * plan.spec.heads * operand_stride(plan.values) + head * operand_stride(value_layout(block));
  }

  /// A product of the slot's operator `op` with `rows` rows; `rescale` as run_operator takes it.
  void multiply(const Operator& op, const std::byte* operand, std::size_t rows, const float* input, float* output,
                const float* rescale = nullptr) noexcept {
    if (!run_operator(op, reinterpret_cast<const float*>(operand), rows, input, output, rescale))
      refused.store(true, std::memory_order_relaxed);
  }
  /// At reduced precision: rounds rows of a tile to 16 bits, after dividing each by its sum; null for 1.
  void round_rows(const float* rows, const float* sum, std::size_t count, std::size_t width, Half* out) const noexcept {
    reduced.kernels.round_rows(rows, sum, count, width, plan.channel_stride, out, plan.half_stride);
  }
  /// At reduced precision: a product of rows of 16 bits with weights of C to C.
  void project(const std::byte* weight, const Half* input, std::size_t rows, float* output) const noexcept {
    reduced.kernels.gemm_half({.input = input,
                               .input_stride = plan.half_stride,
                               .rows = rows,
                               .operand = reduced_panels(plan.projection, weight),
                               .inputs = channels(),
                               .outputs = channels(),
                               .rescale = nullptr,
                               .out = output,
                               .out_stride = plan.channel_stride});
  }
  /// Writes x̂ of the tokens [first, first + rows) to the slot's `normalized`. For several heads, and at reduced precision.
  void normalize_rows(const ImageWork& work, const Slot& slot, std::size_t first, std::size_t rows) const noexcept;
};

/// Calls body(block, in_block, count, done) for every piece of the tokens [first, first + rows) that lies in one key block: its `count`
/// tokens from `in_block` on, when `done` are done.
template <class Body>
void for_each_piece(const RunContext& run, std::size_t first, std::size_t rows, Body body) noexcept {
  for (std::size_t done = 0; done < rows;) {
    const std::size_t token = first + done;
    const std::size_t block = std::min(token / run.plan.key_block, run.plan.key_blocks - 1);
    const std::size_t in_block = token - block * run.plan.key_block;
    const std::size_t count = std::min(rows - done, run.keys_in(block) - in_block);
    body(block, in_block, count, done);
    done += count;
  }
}

/// Step 1. Finds the coefficients of an image, or that a value of it is not finite.
void statistics(RunContext& run, const Team& team, ImageWork& work) noexcept;

/// Step 2. Writes x̂, or with several heads K and V, into the operands of the score and the mixing GEMM.
void normalize_and_pack(RunContext& run, const Team& team, const ImageWork& work) noexcept;

/// The same of one strip of a key block at reduced precision.
void pack_reduced(RunContext& run, const ImageWork& work, const Slot& slot, std::size_t block, std::size_t first,
                  std::size_t tokens, PhaseClock& clock) noexcept;

/// Computes one query tile at reduced precision.
void reduced_tile(RunContext& run, const ImageWork& work, const Slot& slot, QueryTile tile) noexcept;

/// Writes Y of a tile, plus x, to the image's outputs.
void write_output(const RunContext& run, const ImageWork& work, const Slot& slot, QueryTile tile) noexcept;

/// Step 3, of one slot. Computes query tiles of the slot's image, until its team has done all of them.
void query_tiles(RunContext& run, std::size_t slot, const ImageWork& work) noexcept;

/// Shares the tiles out for step 3, before any slot begins with it.
void share_tiles(RunContext& run) noexcept;

}  // namespace edgeattn
