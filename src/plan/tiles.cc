#include "plan/tiles.h"

namespace edgeattn {

namespace {

KeyBlocks cut(std::size_t tokens, std::size_t size) noexcept {
  const std::size_t count = sizes::divide_up(tokens, size);
  return {.size = std::min(size, tokens), .last = tokens - (count - 1) * size, .count = count};
}

bool last_is_whole(const KeyBlocks& blocks) noexcept { return blocks.count == 1 || blocks.last >= kKeyUnit; }

}  // namespace

KeyBlocks cut_keys(std::size_t tokens, std::size_t largest) noexcept {
  using namespace sizes;
  if (tokens <= largest) return cut(tokens, tokens);
  const std::size_t count = divide_up(tokens, std::max(largest / kKeyUnit * kKeyUnit, kKeyUnit));
  const std::size_t equal = round_up(divide_up(tokens, count), kKeyUnit);
  for (std::size_t size = equal; size >= kKeyUnit; size -= kKeyUnit)
    if (const KeyBlocks blocks = cut(tokens, size); last_is_whole(blocks)) return blocks;
  std::size_t size = equal;
  while (!last_is_whole(cut(tokens, size))) size += kKeyUnit;
  return cut(tokens, size);
}

std::size_t balanced_query_tile(std::size_t tokens, std::size_t threads, std::size_t mr) noexcept {
  using namespace sizes;
  const std::size_t steps = divide_up(tokens, mr);
  const std::size_t largest_steps = std::max<std::size_t>(1, kLargestQueryTile / mr);
  const std::size_t rounds = divide_up(divide_up(steps, threads), largest_steps);
  const std::size_t rows = divide_up(steps, threads * rounds) * mr;
  return std::min(tokens, std::max(rows, kSmallestQueryTile));
}

}  // namespace edgeattn
