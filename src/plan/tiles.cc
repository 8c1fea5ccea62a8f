#include "plan/tiles.h"

namespace edgeattn {

KeyBlocks cut_keys(std::size_t tokens, std::size_t largest) noexcept {
  using namespace sizes;
  KeyBlocks blocks;
  for (std::size_t count = divide_up(tokens, std::max(largest, kKeyUnit)); count >= 1; --count) {
    blocks.size = count == 1 ? tokens : round_up(divide_up(tokens, count), kKeyUnit);
    blocks.count = divide_up(tokens, blocks.size);
    blocks.last = tokens - (blocks.count - 1) * blocks.size;
    if (blocks.count == 1 || blocks.last >= kKeyUnit) break;
  }
  return blocks;
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
