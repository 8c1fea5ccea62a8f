#include "block/operands.h"
#include "block/run_context.h"

namespace edgeattn {
namespace {

/// One strip of a key block on its way into operands of reduced precision: rows of float32, rounded or quantised, then packed.
class StripPacker {
 public:
  StripPacker(const RunContext& run, const ImageWork& work, const Slot& slot, std::size_t block, std::size_t first,
              std::size_t tokens) noexcept
      : run_(run), work_(work), slot_(slot), block_(block), first_(first), tokens_(tokens) {}

  /// Packs rows of 16 bits as the values of a head.
  void pack_values(std::size_t head, const Half* half) const noexcept {
    kernels().pack_rows(half, tokens_, width(), run_.plan.half_stride,
                        reduced_panels(run_.value_layout(block_), run_.values(work_, head, block_)), first_);
  }

  /// Packs rows as the keys of a head, panel by panel: `rows` quantised, or `half`, which are the same rounded.
  void pack_keys(std::size_t head, const float* rows, const Half* half) const noexcept {
    const PanelLayout& layout = run_.key_layout(block_);
    std::byte* const keys = run_.keys(work_, head, block_);
    const bool last = first_ + tokens_ == run_.keys_in(block_);
    for (std::size_t done = 0; done < tokens_;) {
      const std::size_t left_of_panel = layout.nr - (first_ + done) % layout.nr, count = std::min(tokens_ - done, left_of_panel);
      const Columns columns{.first = first_ + done,
                            .count = count,
                            .padded = last && done + count == tokens_ ? left_of_panel : count};
      if (run_.plan.precision == Precision::kInt8) {
        quantize_columns(layout, keys, columns, rows + done * run_.plan.channel_stride, work_.key_center + head * width());
      } else {
        round_columns(layout, keys, columns, half + done * run_.plan.half_stride);
      }
      done += count;
    }
  }

 private:
  /// Columns of one panel; those from `count` on are its padding.
  struct Columns {
    std::size_t first;
    std::size_t count;
    std::size_t padded;
  };

  [[nodiscard]] const ReducedKernels& kernels() const noexcept { return run_.reduced.kernels; }
  [[nodiscard]] std::size_t width() const noexcept { return run_.plan.spec.head_channels(); }

  /// Where the first group of the first column begins.
  static std::uint8_t* groups_at(const PanelLayout& layout, std::byte* keys, const Columns& columns) noexcept {
    return reinterpret_cast<std::uint8_t*>(keys + layout.byte_offset(0, columns.first));
  }

  void round_columns(const PanelLayout& layout, std::byte* keys, const Columns& columns, const Half* half) const noexcept {
    std::fill_n(reinterpret_cast<float*>(keys + layout.header_offset(columns.first)), columns.padded, 0.0f);
    kernels().pack_half_columns(reinterpret_cast<const std::uint8_t*>(half), run_.plan.half_stride * sizeof(Half), columns.count,
                                columns.padded, layout.depth() / layout.kr, groups_at(layout, keys, columns), layout.nr);
  }

  void quantize_columns(const PanelLayout& layout, std::byte* keys, const Columns& columns, const float* rows,
                        const float* center) const noexcept {
    auto* const scales = reinterpret_cast<float*>(keys + layout.header_offset(columns.first));
    auto* const compensation = reinterpret_cast<std::int32_t*>(scales + layout.nr);
    kernels().quantize_rows(rows, center, columns.count, width(), run_.plan.channel_stride, 0, slot_.quantized,
                            run_.plan.quantized_stride, scales, compensation);
    for (std::size_t i = 0; i < columns.count; ++i) compensation[i] *= -std::int32_t{run_.reduced.traits.flip};
    std::fill(scales + columns.count, scales + columns.padded, 0.0f);
    std::fill(compensation + columns.count, compensation + columns.padded, 0);
    kernels().pack_int8_columns(slot_.quantized, run_.plan.quantized_stride, columns.count, columns.padded,
                                layout.depth() / layout.kr, groups_at(layout, keys, columns), layout.nr);
  }

  const RunContext& run_;
  const ImageWork& work_;
  const Slot& slot_;
  std::size_t block_;
  std::size_t first_;
  std::size_t tokens_;
};

}  // namespace

void pack_reduced(RunContext& run, const ImageWork& work, const Slot& slot, std::size_t block, std::size_t first,
                  std::size_t tokens, PhaseClock& clock) noexcept {
  const Plan& plan = run.plan;
  const StripPacker packer(run, work, slot, block, first, tokens);
  run.normalize_rows(work, slot, block * plan.key_block + first, tokens);
  run.round_rows(slot.normalized, nullptr, tokens, run.channels(), slot.half_rows);
  if (plan.spec.heads == 1) {
    packer.pack_values(0, slot.half_rows);
    packer.pack_keys(0, slot.normalized, slot.half_rows);
    clock.mark(Phase::kPack);
    return;
  }
  clock.mark(Phase::kPack);
  float *const keys = slot.projected, *const values = slot.normalized;
  run.project(run.prepared.key_weight, slot.half_rows, tokens, keys);
  run.project(run.prepared.value_weight, slot.half_rows, tokens, values);
  clock.mark(Phase::kProject);
  const std::size_t width = plan.spec.head_channels();
  for (std::size_t head = 0; head < plan.spec.heads; ++head) {
    run.round_rows(values + head * width, nullptr, tokens, width, slot.half_rows);
    packer.pack_values(head, slot.half_rows);
    if (plan.precision != Precision::kInt8) run.round_rows(keys + head * width, nullptr, tokens, width, slot.half_rows);
    packer.pack_keys(head, keys + head * width, slot.half_rows);
  }
  clock.mark(Phase::kPack);
}

}  // namespace edgeattn
