#include <algorithm>
#include <limits>

#include "block/run_context.h"

namespace edgeattn {
namespace {

/// One worker's slot, and the tile that it computes at reduced precision. The steps are those of TileWorker in tile.cc; what a
/// product reads is rounded or quantised before it.
class ReducedTileWorker {
 public:
  ReducedTileWorker(RunContext& run, const ImageWork& work, const Slot& slot, QueryTile tile) noexcept
      : run_(run), plan_(run.plan), work_(work), slot_(slot), tile_(tile), width_(run.plan.spec.head_channels()) {}

  void compute() noexcept {
    PhaseClock clock(run_.times);
    load_queries();
    run_.project(run_.prepared.score_weight, slot_.half_rows, tile_.rows, slot_.projected);
    clock.mark(Phase::kProject);
    for (std::size_t head = 0; head < plan_.spec.heads; ++head) {
      narrow_queries(head);
      clock.mark(Phase::kProject);
      std::fill_n(slot_.row_max, tile_.rows, -std::numeric_limits<float>::infinity());
      std::fill_n(slot_.row_sum, tile_.rows, 0.0f);
      for (std::size_t block = 0; block < plan_.key_blocks; ++block) attend(head, block, clock);
      if (plan_.spec.heads > 1) normalize(head);
      clock.mark(Phase::kMix);
    }
    const float* const sum = plan_.spec.heads > 1 ? nullptr : slot_.row_sum;
    run_.round_rows(slot_.accumulated, sum, tile_.rows, run_.channels(), slot_.half_rows);
    run_.project(run_.prepared.out_weight, slot_.half_rows, tile_.rows, slot_.output);
    clock.mark(Phase::kOut);
    write_output(run_, work_, slot_, tile_);
    clock.mark(Phase::kTranspose);
  }

 private:
  [[nodiscard]] const ReducedKernels& kernels() const noexcept { return run_.reduced.kernels; }
  [[nodiscard]] float* of_head(float* buffer, std::size_t head) const noexcept { return buffer + head * width_; }

  /// x̂ of the tile: read back from the V side, or with several heads, where that holds V, normalised again.
  void load_queries() noexcept {
    if (plan_.spec.heads > 1) {
      run_.normalize_rows(work_, slot_, tile_.first, tile_.rows);
      run_.round_rows(slot_.normalized, nullptr, tile_.rows, run_.channels(), slot_.half_rows);
      return;
    }
    for_each_piece(run_, tile_.first, tile_.rows,
                   [&](std::size_t block, std::size_t in_block, std::size_t count, std::size_t done) {
                     kernels().unpack_half_rows(reduced_panels(run_.value_layout(block), run_.values(work_, 0, block)), in_block,
                                                count, run_.channels(), slot_.half_rows + done * plan_.half_stride,
                                                plan_.half_stride);
                   });
  }

  /// T of one head, as the scores read it.
  void narrow_queries(std::size_t head) noexcept {
    const float* const rows = of_head(slot_.projected, head);
    if (plan_.precision == Precision::kInt8) {
      kernels().quantize_rows(rows, nullptr, tile_.rows, width_, plan_.channel_stride, run_.reduced.traits.flip, slot_.quantized,
                              plan_.quantized_stride, slot_.query_scales, nullptr);
    } else {
      run_.round_rows(rows, nullptr, tile_.rows, width_, slot_.half_rows);
    }
  }

  void score(const ReducedPanels& keys, std::size_t count) noexcept {
    if (plan_.precision == Precision::kInt8) {
      kernels().gemm_int8({.input = slot_.quantized,
                           .input_stride = plan_.quantized_stride,
                           .scales = slot_.query_scales,
                           .rows = tile_.rows,
                           .operand = keys,
                           .inputs = width_,
                           .outputs = count,
                           .out = slot_.scores,
                           .out_stride = plan_.score_stride});
    } else {
      kernels().gemm_half({.input = slot_.half_rows,
                           .input_stride = plan_.half_stride,
                           .rows = tile_.rows,
                           .operand = keys,
                           .inputs = width_,
                           .outputs = count,
                           .rescale = nullptr,
                           .out = slot_.scores,
                           .out_stride = plan_.score_stride});
    }
  }

  /// Scores, softmax and mix of one head and key block.
  void attend(std::size_t head, std::size_t block, PhaseClock& clock) noexcept {
    const std::size_t keys = run_.keys_in(block);
    score(reduced_panels(run_.key_layout(block), run_.keys(work_, head, block)), keys);
    clock.mark(Phase::kScores);
    kernels().softmax_half(slot_.scores, tile_.rows, keys, plan_.score_stride, slot_.row_max, slot_.row_sum, slot_.rescale,
                           slot_.softmax_weights, plan_.weight_stride);
    clock.mark(Phase::kSoftmax);
    kernels().gemm_half({.input = slot_.softmax_weights,
                         .input_stride = plan_.weight_stride,
                         .rows = tile_.rows,
                         .operand = reduced_panels(run_.value_layout(block), run_.values(work_, head, block)),
                         .inputs = keys,
                         .outputs = width_,
                         .rescale = block == 0 ? nullptr : slot_.rescale,
                         .out = of_head(slot_.accumulated, head),
                         .out_stride = plan_.channel_stride});
    clock.mark(Phase::kMix);
  }

  void normalize(std::size_t head) noexcept {
    run_.kernels.normalize_rows(of_head(slot_.accumulated, head), slot_.row_sum, tile_.rows, width_, plan_.channel_stride);
  }

  RunContext& run_;
  const Plan& plan_;
  const ImageWork& work_;
  const Slot& slot_;
  QueryTile tile_;
  std::size_t width_;
};

}  // namespace

void reduced_tile(RunContext& run, const ImageWork& work, const Slot& slot, QueryTile tile) noexcept {
  ReducedTileWorker(run, work, slot, tile).compute();
}

}  // namespace edgeattn
