#pragma once

#include <functional>
#include <string>
#include <vector>

#include "text.h"
#include "timing.h"

namespace edgeattn::bench {

/// One kernel at one size, timed with the variants of a table.
struct KernelCase {
  std::string size;  ///< "rows:252/keys:512"
  std::function<void(benchmark::State&, const Kernels&)> time;
  std::function<void(benchmark::State&)> time_xnnpack = {};  ///< XNNPACK's operator for the same work, where it has one
  std::function<void(benchmark::State&)> time_memcpy = {};   ///< memcpy of the same bytes, where that is the measure
};
using KernelCases = std::vector<KernelCase>();

/// Kernels that pass over a whole image; each iteration takes one that has left the caches.
KernelCases statistics_cases, pack_cases, add_residual_cases, transpose_cases;
/// Kernels that work on a tile, or on one block of the weights.
KernelCases unpack_rows_cases, exp2_cases, softmax_cases, accumulate_cases, normalize_rows_cases, poison_rows_cases;
KernelCases gemm_cases, fold_cases;

/// The tiles of C512 64x64, C256 16x16 and C512 8x8.
struct TileSize {
  std::size_t rows;
  std::size_t keys;
  std::size_t channels;

  [[nodiscard]] std::string rows_and_keys() const { return text("rows:", rows, "/keys:", keys); }
  [[nodiscard]] std::string rows_and_channels() const { return text("rows:", rows, "/channels:", channels); }
};
inline constexpr TileSize kTiles[] = {{252, 512, 512}, {126, 256, 256}, {32, 64, 512}};

/// The layout of a packed operand; plain, as the SIMD kernels need it, also where XNNPACK's is not.
PanelLayout plain_layout(std::size_t inputs, std::size_t outputs);

/// Memory of `count` floats in turn, each piece of it out of all caches when it comes, and full of numbers in [-1, 1].
class ColdPieces {
 public:
  explicit ColdPieces(std::size_t count);

  float* next();

 private:
  std::size_t piece_;
  std::size_t pieces_;
  std::size_t at_ = 0;
  Memory memory_;
};

/// Memory of `count` floats, full of numbers in [-1, 1].
Memory numbers(std::size_t count);

/// Sets the counter of something that moved `values` floats in each iteration.
void count_floats_moved(benchmark::State& state, std::size_t values, double seconds);
/// Sets the counter of something that computed `values` results in each iteration.
void count_elements(benchmark::State& state, std::size_t values, double seconds);

}  // namespace edgeattn::bench
