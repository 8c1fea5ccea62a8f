// Kernels that work on a tile, which the GEMM before them left in the caches.

#include "block/operands.h"
#include "kernel_cases.h"
#include "xnnpack_softmax.h"

namespace edgeattn::bench {
namespace {

std::vector<KernelCase> tile_cases(std::string (TileSize::*name)() const,
                                   void (*time)(benchmark::State&, const Kernels&, const TileSize&)) {
  std::vector<KernelCase> cases;
  for (const TileSize& tile : kTiles)
    cases.push_back({.size = (tile.*name)(), .time = [=](auto& state, auto& kernels) { time(state, kernels, tile); }});
  return cases;
}

std::vector<KernelCase> counted_cases(const char* what, std::initializer_list<std::size_t> counts,
                                      void (*time)(benchmark::State&, const Kernels&, std::size_t)) {
  std::vector<KernelCase> cases;
  for (std::size_t count : counts)
    cases.push_back({.size = text(what, ":", count),
                     .time = [=](auto& state, auto& kernels) { time(state, kernels, count); }});
  return cases;
}

/// Reads the operand of a key block that has left the caches, as the first product of a tile does.
void time_unpack_rows(benchmark::State& state, const Kernels& kernels, const TileSize& tile) {
  const PanelLayout layout = plain_layout(tile.keys, tile.channels);
  ColdPieces operands(layout.size());
  const Memory out(tile.rows * tile.channels * sizeof(float));
  const double seconds = mean_seconds(state, [&] {
    kernels.unpack_rows(panels(layout, reinterpret_cast<std::byte*>(operands.next())), 0, tile.rows, tile.channels, out.floats(),
                        tile.channels);
  });
  count_floats_moved(state, 2 * tile.rows * tile.channels, seconds);
}

void time_exp2(benchmark::State& state, const Kernels& kernels, std::size_t count) {
  const Memory x = numbers(count), out(count * sizeof(float));
  for (std::size_t i = 0; i < count; ++i) x.floats()[i] = 10 * x.floats()[i] - 10;
  const double seconds = mean_seconds(state, [&] {
    kernels.exp2(x.floats(), out.floats(), count);
    benchmark::ClobberMemory();
  });
  count_elements(state, count, seconds);
}

/// The weights of one iteration are the scores of the next, which takes as long: no step depends on the values.
void time_softmax(benchmark::State& state, const Kernels& kernels, const TileSize& tile) {
  const Memory scores = numbers(tile.rows * tile.keys);
  std::vector<float> max(tile.rows), sum(tile.rows), rescale(tile.rows);
  const double seconds = mean_seconds(state, [&] {
    std::fill(max.begin(), max.end(), -std::numeric_limits<float>::infinity());
    std::fill(sum.begin(), sum.end(), 0.0f);
    kernels.softmax(scores.floats(), tile.rows, tile.keys, tile.keys, max.data(), sum.data(), rescale.data());
  });
  count_elements(state, tile.rows * tile.keys, seconds);
}

void time_xnnpack_softmax(benchmark::State& state, const TileSize& tile) {
  const XnnpackSoftmax softmax(tile.keys);
  const Memory scores = numbers(tile.rows * tile.keys);
  const double seconds = mean_seconds(state, [&] { softmax.run(scores.floats(), tile.rows); });
  count_elements(state, tile.rows * tile.keys, seconds);
}

void time_accumulate(benchmark::State& state, const Kernels& kernels, const TileSize& tile) {
  const Memory acc = numbers(tile.rows * tile.channels), mixed = numbers(tile.rows * tile.channels);
  const std::vector<float> rescale(tile.rows, 0.5f);
  const double seconds = mean_seconds(state, [&] {
    kernels.accumulate(acc.floats(), mixed.floats(), rescale.data(), tile.rows, tile.channels, tile.channels);
  });
  count_floats_moved(state, 3 * tile.rows * tile.channels, seconds);
}

void time_normalize_rows(benchmark::State& state, const Kernels& kernels, const TileSize& tile) {
  const Memory acc = numbers(tile.rows * tile.channels);
  const std::vector<float> sum(tile.rows, 1.0f);
  const double seconds = mean_seconds(
      state, [&] { kernels.normalize_rows(acc.floats(), sum.data(), tile.rows, tile.channels, tile.channels); });
  count_floats_moved(state, 2 * tile.rows * tile.channels, seconds);
}

void time_poison_rows(benchmark::State& state, const Kernels& kernels, const TileSize& tile) {
  const Memory y = numbers(tile.rows * tile.channels);
  std::vector<float> poison(tile.rows);
  const double seconds = mean_seconds(
      state, [&] { kernels.poison_rows(y.floats(), tile.rows, tile.channels, tile.channels, poison.data()); });
  count_floats_moved(state, tile.rows * tile.channels, seconds);
}

/// The projection of a tile, on panels of a width that suits every variant.
void time_gemm(benchmark::State& state, const Kernels& kernels, const TileSize& tile) {
  const PanelLayout layout{.inputs = tile.channels, .outputs = tile.channels, .nr = 32};
  const Memory input = numbers(tile.rows * tile.channels), operand = numbers(layout.size());
  const Memory output(tile.rows * tile.channels * sizeof(float));
  const double seconds = mean_seconds(state, [&] {
    kernels.gemm({.input = input.floats(),
                  .input_stride = tile.channels,
                  .rows = tile.rows,
                  .inputs = tile.channels,
                  .operand = operand.floats(),
                  .nr = layout.nr,
                  .outputs = tile.channels,
                  .output = output.floats(),
                  .output_stride = tile.channels,
                  .rescale = nullptr});
  });
  state.counters["GFLOP/s"] = static_cast<double>(2 * tile.rows * tile.channels * tile.channels) / seconds * 1e-9;
}

/// kFoldRows rows of the product of two [terms, terms] matrices, kFoldColumns columns at a time.
void time_fold(benchmark::State& state, const Kernels& kernels, std::size_t terms) {
  const Memory left = numbers(kFoldRows * terms), right = numbers(terms * terms);
  alignas(64) double sums[kFoldRows * kFoldColumns], factors[kFoldTerms * (kFoldRows + kFoldColumns)];
  const double seconds = mean_seconds(state, [&] {
    for (std::size_t column = 0; column < terms; column += kFoldColumns) {
      kernels.fold({.left = left.floats(),
                    .left_row = terms,
                    .left_term = 1,
                    .right = right.floats() + column,
                    .right_term = terms,
                    .rows = kFoldRows,
                    .columns = kFoldColumns,
                    .terms = terms,
                    .sums = sums,
                    .factors = factors});
      benchmark::DoNotOptimize(sums);
    }
  });
  const double gflops = static_cast<double>(2 * kFoldRows * terms * terms) / seconds * 1e-9;
  state.counters["GFLOP/s"] = gflops;
  state.counters["of_float64_peak"] = gflops / (peak_gflops(1) / 2);
}

}  // namespace

std::vector<KernelCase> unpack_rows_cases() {
  return tile_cases(&TileSize::rows_and_channels, time_unpack_rows);
}
std::vector<KernelCase> exp2_cases() { return counted_cases("count", {512, 4096, 65536}, time_exp2); }
std::vector<KernelCase> softmax_cases() {
  std::vector<KernelCase> cases = tile_cases(&TileSize::rows_and_keys, time_softmax);
  for (std::size_t i = 0; i < cases.size(); ++i)
    cases[i].time_xnnpack = [tile = kTiles[i]](benchmark::State& state) { time_xnnpack_softmax(state, tile); };
  return cases;
}
std::vector<KernelCase> accumulate_cases() { return tile_cases(&TileSize::rows_and_channels, time_accumulate); }
std::vector<KernelCase> normalize_rows_cases() {
  return tile_cases(&TileSize::rows_and_channels, time_normalize_rows);
}
std::vector<KernelCase> poison_rows_cases() { return tile_cases(&TileSize::rows_and_channels, time_poison_rows); }
std::vector<KernelCase> gemm_cases() { return tile_cases(&TileSize::rows_and_channels, time_gemm); }
std::vector<KernelCase> fold_cases() { return counted_cases("terms", {256, 512, 1024}, time_fold); }

}  // namespace edgeattn::bench
