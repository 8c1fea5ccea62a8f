#include <algorithm>
#include <limits>
#include <string_view>

#include "block/operands.h"
#include "block/parallel.h"
#include "block/run_context.h"
#include "block/spans.h"

namespace edgeattn {
namespace {

/// One worker's buffers and operators, and the tile it is at.
class TileWorker {
 public:
  TileWorker(RunContext& run, std::size_t slot) noexcept
      : run_(run),
        ops_(run.operators[slot]),
        normalized_(buffer(region::kNormalized, slot)),
        projected_(buffer(region::kProjected, slot)),
        scores_(buffer(region::kScores, slot)),
        mixed_(run.plan.key_blocks > 1 ? buffer(region::kMixed, slot) : nullptr),
        accumulated_(buffer(region::kAccumulated, slot)),
        output_(buffer(region::kOutput, slot)),
        row_max_(buffer(region::kRows, slot)),
        row_sum_(row_max_ + run.plan.query_tile),
        rescale_(row_sum_ + run.plan.query_tile),
        poison_(buffer(region::kPoison, slot)) {}

  void compute(QueryTile tile, const float* x, float* y) noexcept {
    PhaseClock clock(run_.times);
    rows_ = tile.rows;
    unpack_queries(tile.first);
    multiply(ops_.project, run_.prepared.score_weight, normalized_, projected_);
    clock.mark(Phase::kProject);

    std::fill_n(row_max_, rows_, -std::numeric_limits<float>::infinity());
    std::fill_n(row_sum_, rows_, 0.0f);
    for (std::size_t block = 0; block < run_.plan.key_blocks; ++block) attend(block, clock);

    run_.kernels.normalize_rows(accumulated_, row_sum_, rows_, run_.channels(), run_.plan.channel_stride);
    clock.mark(Phase::kMix);
    multiply(ops_.project, run_.prepared.out_weight, accumulated_, output_);
    clock.mark(Phase::kOut);
    write_output(tile.first, x, y);
    clock.mark(Phase::kTranspose);
  }

 private:
  [[nodiscard]] float* buffer(std::string_view name, std::size_t slot) const noexcept {
    return floats_at(run_.scratch, run_.plan, name, slot);
  }

  void multiply(const Operator& op, const float* operand, const float* input, float* output) noexcept {
    if (!run_operator(op, operand, rows_, input, output)) run_.refused.store(true, std::memory_order_relaxed);
  }

  /// Reads the tile's x̂ back from the V side, which may have it in several key blocks.
  void unpack_queries(std::size_t first) noexcept {
    const Plan& plan = run_.plan;
    for (std::size_t done = 0; done < rows_;) {
      const std::size_t token = first + done;
      const std::size_t block = token / plan.key_block;
      const std::size_t in_block = token - block * plan.key_block;
      const std::size_t rows = std::min(rows_ - done, run_.keys_in(block) - in_block);
      const bool simd = simd_layout(block + 1 == plan.key_blocks ? plan.last_values : plan.values);
      auto* const unpack = simd ? run_.kernels.unpack_rows : &unpack_rows_any_scalar;
      unpack(run_.values(block), in_block, rows, run_.channels(), normalized_ + done * plan.channel_stride,
             plan.channel_stride);
      done += rows;
    }
  }

  /// Scores, softmax and mix of one key block.
  void attend(std::size_t block, PhaseClock& clock) noexcept {
    const Plan& plan = run_.plan;
    const bool last = block + 1 == plan.key_blocks;
    multiply(last ? ops_.last_keys : ops_.keys, run_.keys(block).data, projected_, scores_);
    clock.mark(Phase::kScores);
    run_.kernels.softmax(scores_, rows_, run_.keys_in(block), plan.score_stride, row_max_, row_sum_, rescale_);
    clock.mark(Phase::kSoftmax);
    float* const target = block == 0 ? accumulated_ : mixed_;
    multiply(last ? ops_.last_values : ops_.values, run_.values(block).data, scores_, target);
    if (block > 0)
      run_.kernels.accumulate(accumulated_, mixed_, rescale_, rows_, run_.channels(), plan.channel_stride);
    clock.mark(Phase::kMix);
  }

  void write_output(std::size_t first, const float* x, float* y) noexcept {
    const std::size_t offset = first * run_.token_stride();
    run_.kernels.poison_rows(output_, rows_, run_.channels(), run_.plan.channel_stride, poison_);
    run_.kernels.add_residual({.tile = output_,
                               .stride = run_.plan.channel_stride,
                               .poison = poison_,
                               .x = run_.plan.spec.residual ? x + offset : nullptr,
                               .y = y + offset,
                               .token_stride = run_.token_stride(),
                               .channel_stride = run_.channel_stride(),
                               .tokens = rows_,
                               .channels = run_.channels()});
  }

  RunContext& run_;
  const SlotOperators& ops_;
  float* normalized_;
  float* projected_;
  float* scores_;
  float* mixed_;
  float* accumulated_;
  float* output_;
  float* row_max_;
  float* row_sum_;
  float* rescale_;
  float* poison_;
  std::size_t rows_ = 0;
};

}  // namespace

void query_tiles(RunContext& run, const float* x, float* y) noexcept {
  const std::size_t tile = run.plan.query_tile;
  for_each_claimed(run.pool, run.plan.threads, sizes::divide_up(run.tokens(), tile),
                   [&](std::size_t slot, std::size_t item) {
                     TileWorker(run, slot).compute(query_tile(run.tokens(), tile, item), x, y);
                   });
}

}  // namespace edgeattn
