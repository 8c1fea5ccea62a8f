#pragma once

#include <algorithm>
#include <cstddef>

#include "plan/sizes.h"

namespace edgeattn {

/// Key blocks are cut in whole multiples of this: of every panel width seen (8, 16, 32).
inline constexpr std::size_t kKeyUnit = 32;
/// Largest key block that a plan picks by itself: docs/engine.md, Tiles.
inline constexpr std::size_t kLargestKeyBlock = 256;
/// Largest query tile that a plan picks by itself.
inline constexpr std::size_t kLargestQueryTile = 252;
/// Smallest query tile: every tile, the cut-off last ones too, then has at least two rows (XNNPACK's one-row kernels on ARM
/// sum in another order).
inline constexpr std::size_t kSmallestQueryTile = 4;

/// How `tokens` keys are cut.
struct KeyBlocks {
  std::size_t size = 0;   ///< keys of every block but the last
  std::size_t last = 0;   ///< keys of the last block, at least min(tokens, kKeyUnit)
  std::size_t count = 0;
};

/// Cuts in as few equal blocks of at most `largest` keys as there can be, or in smaller ones where the last would be narrower
/// than kKeyUnit. `largest` is exceeded where no smaller size would do: with 256, from N = 26,881 on, for 31 of 26,880
/// sizes.
KeyBlocks cut_keys(std::size_t tokens, std::size_t largest) noexcept;

/// Rows of a query tile such that `threads` workers get equal shares in whole multiples of `mr` rows.
std::size_t balanced_query_tile(std::size_t tokens, std::size_t threads, std::size_t mr) noexcept;

/// A range of query rows.
struct QueryTile {
  std::size_t first = 0;
  std::size_t rows = 0;
};

/// Tile `index` of divide_up(tokens, tile) tiles. A last tile of one row takes another from its neighbour.
constexpr QueryTile query_tile(std::size_t tokens, std::size_t tile, std::size_t index) noexcept {
  const bool lone_last_row = tokens > tile && tokens % tile == 1;
  const std::size_t count = sizes::divide_up(tokens, tile);
  std::size_t first = index * tile;
  std::size_t end = std::min(tokens, first + tile);
  if (lone_last_row && index + 1 == count) --first;
  if (lone_last_row && index + 2 == count) --end;
  return {.first = first, .rows = end - first};
}

}  // namespace edgeattn
