#include "plan/tiles.h"

#include <numeric>

#include "plan/precision.h"

namespace edgeattn {
namespace {

/// What a worker can count on of a cache when all that share it work.
std::size_t share(std::size_t bytes, std::size_t processors) noexcept { return bytes / std::max<std::size_t>(processors, 1); }

std::size_t l2_share(const Machine& machine) noexcept { return share(machine.l2_bytes, machine.l2_sharing_processors); }

/// The largest divisor of `number` up to `most`.
std::size_t largest_divisor(std::size_t number, std::size_t most) noexcept {
  std::size_t divisor = std::min(number, most);
  while (number % divisor != 0) --divisor;
  return divisor;
}

std::size_t row_bytes(std::size_t values) noexcept { return sizes::mul(values, sizeof(float)); }

}  // namespace

std::size_t largest_key_block(const Plan& plan) noexcept {
  const std::size_t value_bytes = sizes::mul(plan.spec.head_channels(), element_bytes(plan.precision, Operand::kValues));
  const std::size_t keys = l2_share(plan.machine) / 2 / value_bytes;
  return std::clamp(keys / kKeyUnit * kKeyUnit, kSmallestKeyBlock, kLargestKeyBlock);
}

std::size_t largest_query_tile(const Plan& plan, std::size_t mr) noexcept {
  using namespace sizes;
  const Machine& machine = plan.machine;
  const std::size_t channels = plan.spec.channels, key_block = plan.key_block;
  const std::size_t operand_bytes = mul(key_block, channels, element_bytes(plan.precision, Operand::kValues));
  const std::size_t left_of_l2 = l2_share(machine) - std::min(l2_share(machine), operand_bytes);
  const std::size_t rows_in_l2 = left_of_l2 / row_bytes(add(channels, key_block));
  const std::size_t rows_in_l3 =
      share(machine.l3_bytes, machine.processors) / row_bytes(add(mul(3, channels), key_block));
  const std::size_t most_passes = std::max(kFewestPasses, std::min(kMostPasses, kMostQueryRows / mr));
  return std::clamp(std::max(rows_in_l2, rows_in_l3) / mr, kFewestPasses, most_passes) * mr;
}

std::size_t best_operand_sets(const Plan& plan) noexcept {
  const std::size_t token_bytes =
      element_bytes(plan.precision, Operand::kKeys) + element_bytes(plan.precision, Operand::kValues);
  if (sizes::mul(plan.shape.tokens(), plan.spec.channels, token_bytes) > l2_share(plan.machine)) return 1;
  // With several heads, packing takes two projections: none of them twice.
  if (plan.spec.heads > 1) return plan.shape.batch % plan.threads == 0 ? plan.threads : 1;
  return plan.threads / largest_divisor(plan.threads, plan.shape.batch) <= 2 ? plan.threads : 1;
}

std::size_t images_at_once(const Plan& plan, std::size_t images) noexcept {
  return plan.operand_sets == 1 ? 1 : largest_divisor(plan.threads, images);
}

KeyBlocks cut_keys(std::size_t tokens, std::size_t largest) noexcept {
  using namespace sizes;
  if (tokens <= std::max(largest, kKeyUnit)) return {.size = tokens, .last = tokens, .count = 1};
  const std::size_t fewest = divide_up(tokens, std::max(largest / kKeyUnit * kKeyUnit, kKeyUnit));
  const std::size_t size = round_up(divide_up(tokens, fewest), kKeyUnit);
  const std::size_t whole = tokens / size, rest = tokens % size;
  if (rest >= kKeyUnit) return {.size = size, .last = rest, .count = whole + 1};
  const std::size_t last = rest == 0 ? size : size + rest;
  return {.size = whole == 1 ? last : size, .last = last, .count = whole};
}

std::size_t pack_strip(const Plan& plan, const PanelLayout& keys, const PanelLayout& values) noexcept {
  // Whole cache lines of every channel; few enough to stay in the first cache.
  constexpr std::size_t kLine = 16, kLines = 4;
  // Rows of reduced precision may begin inside a panel.
  const std::size_t columns = plan.reduced() ? 1 : keys.nr;
  const std::size_t columns_and_groups = std::lcm(columns, std::size_t{values.kr} * values.sr);
  if (plan.spec.heads == 1) {
    const std::size_t lines = plan.reduced() ? 1 : kLines;
    return std::lcm(lines * kLine, columns_and_groups);
  }
  const std::size_t unit = std::lcm(kLine, columns_and_groups);
  return std::max(unit, plan.query_tile / unit * unit);
}

QueryTiles cut_queries(std::size_t tokens, std::size_t unit, std::size_t largest, std::size_t workers) noexcept {
  using sizes::divide_up;
  QueryTiles tiles{.tokens = tokens, .unit = unit};
  const std::size_t rounds = divide_up(divide_up(tiles.units(), workers), divide_up(largest, unit));
  tiles.count = std::min(tiles.units(), workers * rounds);
  return tiles;
}

QueryTiles cut_queries(const Plan& plan, std::size_t workers) noexcept {
  return cut_queries(plan.shape.tokens(), plan.query_unit, plan.query_tile, workers);
}

}  // namespace edgeattn
