#include <algorithm>

#include "block/operands.h"
#include "block/run_context.h"

namespace edgeattn {
namespace {

/// Some tokens of one key block, packed at a time.
struct Strip {
  std::size_t block;
  std::size_t first;   ///< token, within the key block
  std::size_t tokens;
  bool simd;           ///< whether both operands have a layout that the SIMD kernels write
};

/// Cuts the key blocks in strips.
class Strips {
 public:
  explicit Strips(const Plan& plan) noexcept
      : plan_(plan),
        per_block_(sizes::divide_up(plan.key_block, plan.pack_strip)),
        full_((plan.key_blocks - 1) * per_block_) {}

  [[nodiscard]] std::size_t count() const noexcept {
    return full_ + sizes::divide_up(plan_.last_key_block, plan_.last_pack_strip);
  }
  [[nodiscard]] Strip operator[](std::size_t index) const noexcept {
    const bool last = index >= full_;
    const std::size_t size = last ? plan_.last_pack_strip : plan_.pack_strip;
    const std::size_t keys = last ? plan_.last_key_block : plan_.key_block;
    const std::size_t first = (last ? index - full_ : index % per_block_) * size;
    return {.block = last ? plan_.key_blocks - 1 : index / per_block_,
            .first = first,
            .tokens = std::min(size, keys - first),
            .simd = last ? simd_layout(plan_.last_keys) && simd_layout(plan_.last_values)
                         : simd_layout(plan_.keys) && simd_layout(plan_.values)};
  }

 private:
  const Plan& plan_;
  std::size_t per_block_;
  std::size_t full_;
};

/// x̂ is keys and values.
void pack_normalized(const RunContext& run, const ImageWork& work, const Strip& strip) noexcept {
  const PackStrip packed{.x = work.x + (strip.block * run.plan.key_block + strip.first) * run.token_stride(),
                         .token_stride = run.token_stride(),
                         .channel_stride = run.channel_stride(),
                         .tokens = strip.tokens,
                         .first_token = strip.first,
                         .channels = run.channels(),
                         .mean = work.coefficients.mean,
                         .scale = work.coefficients.scale,
                         .shift = work.coefficients.shift,
                         .keys = panels(run.key_layout(strip.block), run.keys(work, 0, strip.block)),
                         .values = panels(run.value_layout(strip.block), run.values(work, 0, strip.block))};
  strip.simd ? run.kernels.pack(packed) : pack_any_scalar(packed);
}

/// Packs the rows of one projection as the keys or as the values of every head.
void pack_heads(const RunContext& run, const ImageWork& work, const Strip& strip, const float* rows, bool keys) noexcept {
  const std::size_t width = run.plan.spec.head_channels();
  const float* const zeros = run.prepared.identity;
  for (std::size_t head = 0; head < run.plan.spec.heads; ++head) {
    const PackStrip packed{.x = rows + head * width,
                           .token_stride = run.plan.channel_stride,
                           .channel_stride = 1,
                           .tokens = strip.tokens,
                           .first_token = strip.first,
                           .channels = width,
                           .mean = zeros,
                           .scale = zeros + run.channels(),
                           .shift = zeros,
                           .keys = keys ? panels(run.key_layout(strip.block), run.keys(work, head, strip.block)) : Panels{},
                           .values = keys ? Panels{} : panels(run.value_layout(strip.block), run.values(work, head, strip.block))};
    strip.simd ? run.kernels.pack(packed) : pack_any_scalar(packed);
  }
}

void project_and_pack(RunContext& run, const ImageWork& work, const Slot& slot, const Strip& strip, PhaseClock& clock) noexcept {
  run.normalize_rows(work, slot, strip.block * run.plan.key_block + strip.first, strip.tokens);
  clock.mark(Phase::kPack);
  for (const bool keys : {true, false}) {
    const std::byte* const weight = keys ? run.prepared.key_weight : run.prepared.value_weight;
    run.multiply(slot.project, weight, strip.tokens, slot.normalized, slot.projected);
    clock.mark(Phase::kProject);
    pack_heads(run, work, strip, slot.projected, keys);
    clock.mark(Phase::kPack);
  }
}

}  // namespace

/// Row-major is the V side of a single panel.
void RunContext::normalize_rows(const ImageWork& work, const Slot& slot, std::size_t first, std::size_t rows) const noexcept {
  const std::size_t stride = plan.channel_stride;
  kernels.pack({.x = work.x + first * token_stride(),
                .token_stride = token_stride(),
                .channel_stride = channel_stride(),
                .tokens = rows,
                .first_token = 0,
                .channels = channels(),
                .mean = work.coefficients.mean,
                .scale = work.coefficients.scale,
                .shift = work.coefficients.shift,
                .keys = {},
                .values = {.data = slot.normalized - stride, .nr = stride, .panel_stride = stride * (1 + rows), .kr = 1, .sr = 1}});
}

void normalize_and_pack(RunContext& run, const Team& team, const ImageWork& work) noexcept {
  if (!work.finite) return;
  const Strips strips(run.plan);
  for_each_claimed(team, strips.count(), [&](std::size_t slot, std::size_t item) {
    PhaseClock clock(run.times);
    if (run.plan.reduced()) {
      pack_reduced(run, work, run.slots[slot], strips[item].block, strips[item].first, strips[item].tokens, clock);
    } else if (run.plan.spec.heads > 1) {
      project_and_pack(run, work, run.slots[slot], strips[item], clock);
    } else {
      pack_normalized(run, work, strips[item]);
      clock.mark(Phase::kPack);
    }
  });
}

}  // namespace edgeattn
