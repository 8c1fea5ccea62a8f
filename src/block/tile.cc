#include <algorithm>
#include <limits>

#include "block/operands.h"
#include "block/run_context.h"

namespace edgeattn {
namespace {

/// One worker's slot, and the tile it is at.
class TileWorker {
 public:
  TileWorker(RunContext& run, const ImageWork& work, const Slot& slot, QueryTile tile) noexcept
      : run_(run), work_(work), slot_(slot), first_(tile.first), rows_(tile.rows) {}

  void compute() noexcept {
    PhaseClock clock(run_.times);
    if (run_.plan.spec.heads > 1) {
      run_.normalize_rows(work_, slot_, first_, rows_);
    } else {
      unpack_queries();
    }
    multiply(slot_.project, run_.prepared.score_weight, slot_.normalized, slot_.projected);
    find_overflow();
    clock.mark(Phase::kProject);

    for (std::size_t head = 0; head < run_.plan.spec.heads; ++head) {
      std::fill_n(slot_.row_max, rows_, -std::numeric_limits<float>::infinity());
      std::copy_n(slot_.poison, rows_, slot_.row_sum);
      for (std::size_t block = 0; block < run_.plan.key_blocks; ++block) attend(head, block, clock);
      run_.kernels.normalize_rows(of_head(slot_.accumulated, head), slot_.row_sum, rows_, run_.plan.spec.head_channels(),
                                  run_.plan.channel_stride);
      clock.mark(Phase::kMix);
    }
    multiply(slot_.project, run_.prepared.out_weight, slot_.accumulated, slot_.output);
    clock.mark(Phase::kOut);
    write_output(run_, work_, slot_, {.first = first_, .rows = rows_});
    clock.mark(Phase::kTranspose);
  }

 private:
  void multiply(const Operator& op, const std::byte* operand, const float* input, float* output,
                const float* rescale = nullptr) noexcept {
    run_.multiply(op, operand, rows_, input, output, rescale);
  }

  /// Notes rows of T that are not finite. Products on plain operands do so themselves, in the scores; others leave out what stands
  /// beside the padding of a depth group, as if infinity times zero were zero.
  void find_overflow() noexcept {
    if (run_.plan.keys.plain() && run_.plan.last_keys.plain()) {
      std::fill_n(slot_.poison, rows_, 0.0f);
    } else {
      run_.kernels.poison_rows(slot_.projected, rows_, run_.channels(), run_.plan.channel_stride, slot_.poison);
    }
  }

  /// A head's columns of a buffer that is C wide.
  [[nodiscard]] float* of_head(float* buffer, std::size_t head) const noexcept {
    return buffer + head * run_.plan.spec.head_channels();
  }

  /// Reads the tile's x̂ back from the V side, which may have it in several key blocks.
  void unpack_queries() noexcept {
    for_each_piece(run_, first_, rows_, [&](std::size_t block, std::size_t in_block, std::size_t count, std::size_t done) {
      const PanelLayout& layout = run_.value_layout(block);
      auto* const unpack = simd_layout(layout) ? run_.kernels.unpack_rows : &unpack_rows_any_scalar;
      unpack(panels(layout, run_.values(work_, 0, block)), in_block, count, run_.channels(),
             slot_.normalized + done * run_.plan.channel_stride, run_.plan.channel_stride);
    });
  }

  /// Scores, softmax and mix of one head and key block.
  void attend(std::size_t head, std::size_t block, PhaseClock& clock) noexcept {
    const Plan& plan = run_.plan;
    const bool last = block + 1 == plan.key_blocks;
    multiply(last ? slot_.last_keys : slot_.keys, run_.keys(work_, head, block), of_head(slot_.projected, head),
             slot_.scores);
    clock.mark(Phase::kScores);
    run_.kernels.softmax(slot_.scores, rows_, run_.keys_in(block), plan.score_stride, slot_.row_max, slot_.row_sum,
                         slot_.rescale);
    clock.mark(Phase::kSoftmax);
    const Operator& values = last ? slot_.last_values : slot_.values;
    const std::byte* const operand = run_.values(work_, head, block);
    float* const sum = of_head(slot_.accumulated, head);
    if (block == 0) {
      multiply(values, operand, slot_.scores, sum);
    } else if (slot_.mixed == nullptr) {
      multiply(values, operand, slot_.scores, sum, slot_.rescale);
    } else {
      multiply(values, operand, slot_.scores, slot_.mixed);
      run_.kernels.accumulate(sum, slot_.mixed, slot_.rescale, rows_, plan.spec.head_channels(), plan.channel_stride);
    }
    clock.mark(Phase::kMix);
  }

  RunContext& run_;
  const ImageWork& work_;
  const Slot& slot_;
  std::size_t first_;
  std::size_t rows_;
};

void fill_output_with_nan(const RunContext& run, const ImageWork& work, QueryTile tile) noexcept {
  float* row = work.y + tile.first * run.token_stride();
  const bool nchw = run.token_stride() == 1;
  const std::size_t rows = nchw ? run.channels() : tile.rows, stride = nchw ? run.channel_stride() : run.token_stride();
  for (std::size_t i = 0; i < rows; ++i, row += stride)
    std::fill_n(row, nchw ? tile.rows : run.channels(), std::numeric_limits<float>::quiet_NaN());
}

}  // namespace

void write_output(const RunContext& run, const ImageWork& work, const Slot& slot, QueryTile tile) noexcept {
  const std::size_t offset = tile.first * run.token_stride();
  run.kernels.poison_rows(slot.output, tile.rows, run.channels(), run.plan.channel_stride, slot.poison);
  run.kernels.add_residual({.tile = slot.output,
                            .stride = run.plan.channel_stride,
                            .poison = slot.poison,
                            .x = run.plan.spec.residual ? work.x + offset : nullptr,
                            .y = work.y + offset,
                            .token_stride = run.token_stride(),
                            .channel_stride = run.channel_stride(),
                            .tokens = tile.rows,
                            .channels = run.channels(),
                            .factor = static_cast<float>(1 / run.plan.spec.rescale_output)});
}

void share_tiles(RunContext& run) noexcept {
  const std::size_t team = run.team_slots;
  const std::size_t tiles = cut_queries(run.plan, team).count;
  for (std::size_t slot = 0; slot < run.plan.threads; ++slot)
    run.slots[slot].next_tile.store(slot % team * tiles / team, std::memory_order_relaxed);
}

void query_tiles(RunContext& run, std::size_t slot, const ImageWork& work) noexcept {
  const std::size_t team = run.team_slots;
  const QueryTiles tiles = cut_queries(run.plan, team);
  // Its own share first, whose outputs its caches may hold from the last run, then what is left of the others'.
  for (std::size_t i = 0; i < team; ++i) {
    const std::size_t member = (slot + i) % team;
    std::atomic<std::size_t>& next = run.slots[slot / team * team + member].next_tile;
    const std::size_t end = (member + 1) * tiles.count / team;
    for (std::size_t index; (index = next.fetch_add(1, std::memory_order_relaxed)) < end;) {
      if (!work.finite) {
        fill_output_with_nan(run, work, tiles[index]);
      } else if (run.plan.reduced()) {
        reduced_tile(run, work, run.slots[slot], tiles[index]);
      } else {
        TileWorker(run, work, run.slots[slot], tiles[index]).compute();
      }
    }
  }
}

}  // namespace edgeattn
