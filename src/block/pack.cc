#include <numeric>

#include "block/operands.h"
#include "block/parallel.h"
#include "block/run_context.h"

namespace edgeattn {
namespace {

/// Tokens of a strip where the layouts allow it: whole cache lines of every channel, few enough to stay in the first cache.
constexpr std::size_t kStripTokens = 64;

/// A multiple of kStripTokens that starts a panel of the K side and a depth group of the V side wherever it is cut.
std::size_t strip_tokens(const PanelLayout& keys, const PanelLayout& values) noexcept {
  const std::size_t columns_and_groups = std::lcm(std::size_t{keys.nr}, std::size_t{values.kr} * values.sr);
  return std::lcm(kStripTokens, columns_and_groups);
}

}  // namespace

Panels RunContext::keys(const ImageWork& work, std::size_t block) const noexcept {
  return panels(block + 1 == plan.key_blocks ? plan.last_keys : plan.keys,
                work.keys + block * operand_stride(plan.keys));
}

Panels RunContext::values(const ImageWork& work, std::size_t block) const noexcept {
  return panels(block + 1 == plan.key_blocks ? plan.last_values : plan.values,
                work.values + block * operand_stride(plan.values));
}

void normalize_and_pack(RunContext& run, Team team, const ImageWork& work) noexcept {
  if (!work.finite) return;
  const Plan& plan = run.plan;
  const std::size_t strip = strip_tokens(plan.keys, plan.values);
  const std::size_t last_strip = strip_tokens(plan.last_keys, plan.last_values);
  const std::size_t strips_per_block = sizes::divide_up(plan.key_block, strip);
  const std::size_t full_strips = (plan.key_blocks - 1) * strips_per_block;
  const std::size_t strips = full_strips + sizes::divide_up(plan.last_key_block, last_strip);

  for_each_claimed(team.pool, team.slots, strips, [&](std::size_t item) {
    PhaseClock clock(run.times);
    const bool last = item >= full_strips;
    const std::size_t block = last ? plan.key_blocks - 1 : item / strips_per_block;
    const std::size_t index = last ? item - full_strips : item % strips_per_block;
    const std::size_t size = last ? last_strip : strip;
    const std::size_t first = index * size;
    const bool simd = last ? simd_layout(plan.last_keys) && simd_layout(plan.last_values)
                           : simd_layout(plan.keys) && simd_layout(plan.values);
    const PackStrip packed{.x = work.x + (block * plan.key_block + first) * run.token_stride(),
                           .token_stride = run.token_stride(),
                           .channel_stride = run.channel_stride(),
                           .tokens = std::min(size, run.keys_in(block) - first),
                           .first_token = first,
                           .channels = run.channels(),
                           .mean = work.coefficients.mean,
                           .scale = work.coefficients.scale,
                           .shift = work.coefficients.shift,
                           .keys = run.keys(work, block),
                           .values = run.values(work, block)};
    simd ? run.kernels.pack(packed) : pack_any_scalar(packed);
    clock.mark(Phase::kPack);
  });
}

}  // namespace edgeattn
