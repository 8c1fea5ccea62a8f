#pragma once

#include <algorithm>
#include <cstddef>

#include "edgeattn/plan.h"
#include "plan/sizes.h"

/// How queries and keys are cut; the model behind it is in docs/tiling.md.
namespace edgeattn {

/// Key blocks are cut in whole multiples of this: of every panel width seen (8, 16, 32).
inline constexpr std::size_t kKeyUnit = 32;
/// Bounds of the key blocks that a plan picks by itself: longer sums err more, shorter ones cost more passes over the tile.
inline constexpr std::size_t kSmallestKeyBlock = 64;
inline constexpr std::size_t kLargestKeyBlock = 256;
/// Bounds of the query tiles that a plan picks by itself, in passes of the microkernel over an operand.
inline constexpr std::size_t kFewestPasses = 8;
inline constexpr std::size_t kMostPasses = 48;
/// And in rows, for microkernels of many: larger tiles take more scratch and are no faster.
inline constexpr std::size_t kMostQueryRows = 336;
/// Smallest query tile: every tile, a cut-off last one too, then has at least two rows (XNNPACK's one-row kernels on ARM sum
/// in another order).
inline constexpr std::size_t kSmallestQueryTile = 4;

/// Rows of which query tiles are whole multiples, if `rows` is what a product of them is best cut in.
constexpr std::size_t query_unit(std::size_t rows) noexcept { return sizes::round_up(kSmallestQueryTile, rows); }
constexpr std::size_t query_unit(const Gemm& gemm) noexcept { return query_unit(gemm.row_unit != 0 ? gemm.row_unit : gemm.mr); }

/// The largest key block whose operand of either attention product fills half of a worker's L2, within the bounds above.
std::size_t largest_key_block(const Plan& plan) noexcept;

/// The largest query tile that finds room, within the bounds above: in a worker's share of L3 with all that a tile keeps from one
/// key block to the next, or in what the operand of a key block leaves of its L2 with what one product touches.
std::size_t largest_query_tile(const Plan& plan, std::size_t mr) noexcept;

/// How many sets of operands are best: one for every thread where a set finds room in a worker's L2 and no more than two threads
/// share an image, else one for all. Packing an image twice takes no longer than fetching half of it from another core's cache.
std::size_t best_operand_sets(const Plan& plan) noexcept;

/// How many of `images` images the plan's threads work on at once, equally many on each.
std::size_t images_at_once(const Plan& plan, std::size_t images) noexcept;

/// How `tokens` keys are cut.
struct KeyBlocks {
  std::size_t size = 0;   ///< keys of every block but the last
  std::size_t last = 0;   ///< keys of the last block: at least min(tokens, kKeyUnit), less than size + kKeyUnit
  std::size_t count = 0;
};

/// Cuts in as few equal blocks of at most `largest` keys as there can be. A rest narrower than kKeyUnit joins the block before
/// it, for XNNPACK of 2024 takes a slow microkernel for few outputs.
KeyBlocks cut_keys(std::size_t tokens, std::size_t largest) noexcept;

/// Tokens that are packed at a time into operands of these layouts: whole panels of the K side and whole depth groups of the V
/// side. With one head as many as stay in the first cache, fewer at reduced precision, where they are rows first; with several, where
/// they are rows of a projection first, a tile's.
std::size_t pack_strip(const Plan& plan, const PanelLayout& keys, const PanelLayout& values) noexcept;

/// A range of query rows.
struct QueryTile {
  std::size_t first = 0;
  std::size_t rows = 0;
};

/// How the queries of an image are cut: `count` tiles of whole units of rows, whose sizes differ by one unit at most.
struct QueryTiles {
  std::size_t tokens = 0;
  std::size_t unit = 1;
  std::size_t count = 0;

  [[nodiscard]] constexpr std::size_t units() const noexcept { return sizes::divide_up(tokens, unit); }
  /// Rows of the largest tile.
  [[nodiscard]] constexpr std::size_t rows() const noexcept {
    return std::min(tokens, sizes::divide_up(units(), count) * unit);
  }
  /// A last tile of one row takes another from its neighbour.
  [[nodiscard]] constexpr QueryTile operator[](std::size_t index) const noexcept {
    const std::size_t first = begin(index), end = begin(index + 1);
    return {.first = first, .rows = end - first};
  }

 private:
  [[nodiscard]] constexpr std::size_t begin(std::size_t index) const noexcept {
    if (index == count) return tokens;
    const std::size_t whole = units() / count, longer = units() % count;
    const std::size_t first = (index * whole + index * longer / count) * unit;
    return index > 0 && first + 1 == tokens ? first - 1 : first;
  }
};

/// Cuts in tiles of at most `largest` rows, which give `workers` equal shares in whole units.
QueryTiles cut_queries(std::size_t tokens, std::size_t unit, std::size_t largest, std::size_t workers) noexcept;

/// The tiles of an image of the plan for so many workers.
QueryTiles cut_queries(const Plan& plan, std::size_t workers) noexcept;

}  // namespace edgeattn
