// Times the entries of the kernel table in a tile of 128 rows; bench/ has the sizes and the cold memory of a run.

#include <algorithm>
#include <vector>

#include "best_time.h"
#include "kernel_checker.h"
#include "support.h"

namespace edgeattn::test {
namespace {

constexpr std::size_t kTimedRows = 128;
constexpr std::size_t kColumns = 256;
constexpr std::size_t kElements = kTimedRows * kColumns;
constexpr std::uint32_t kNr = 16;

}  // namespace

double time_statistics(const Kernels& kernels) {
  Numbers x(kElements);
  std::vector<ShiftedSums> sums(kColumns);
  return nanoseconds_each(kElements, [&] { kernels.statistics(x.data(), x.data(), kTimedRows, kColumns, 1, kTimedRows, sums.data()); });
}

double time_pack(const Kernels& kernels) {
  const PanelLayout keys{.inputs = kColumns, .outputs = kTimedRows, .nr = kNr}, values{.inputs = kTimedRows, .outputs = kColumns, .nr = kNr};
  Numbers x(kElements), coefficients(kColumns), packed_keys(keys.size()), packed_values(values.size());
  PackStrip strip = {};
  strip.x = x.data();
  strip.token_stride = 1;
  strip.channel_stride = kTimedRows;
  strip.tokens = kTimedRows;
  strip.channels = kColumns;
  strip.mean = strip.scale = strip.shift = coefficients.data();
  strip.keys = {packed_keys.data(), kNr, keys.panel_stride(), 1, 1};
  strip.values = {packed_values.data(), kNr, values.panel_stride(), 1, 1};
  return nanoseconds_each(kElements, [&] { kernels.pack(strip); });
}

double time_unpack_rows(const Kernels& kernels) {
  const PanelLayout layout{.inputs = kTimedRows, .outputs = kColumns, .nr = kNr};
  Numbers packed(layout.size()), out(kElements);
  const Panels panels{packed.data(), kNr, layout.panel_stride(), 1, 1};
  return nanoseconds_each(kElements, [&] { kernels.unpack_rows(panels, 0, kTimedRows, kColumns, out.data(), kColumns); });
}

double time_fold(const Kernels& kernels) {
  Numbers left(kFoldRows * kColumns), right(kColumns * kFoldColumns);
  alignas(64) double sums[kFoldRows * kFoldColumns], factors[kFoldTerms * (kFoldRows + kFoldColumns)];
  const FoldTile tile = {left.data(), kColumns, 1, right.data(), kFoldColumns, kFoldRows, kFoldColumns, kColumns, sums, factors};
  return nanoseconds_each(kFoldRows * kFoldColumns * kColumns, [&] { kernels.fold(tile); });
}

double time_transpose(const Kernels& kernels) {
  Numbers in(kElements), out(kElements);
  return nanoseconds_each(kElements, [&] { kernels.transpose(in.data(), kColumns, out.data(), kTimedRows, kTimedRows, kColumns); });
}

double time_exp2(const Kernels& kernels) {
  Numbers x(kElements), out(kElements);
  for (std::size_t i = 0; i < kElements; ++i) x.data()[i] = -std::abs(x.data()[i]);
  return nanoseconds_each(kElements, [&] { kernels.exp2(x.data(), out.data(), kElements); });
}

double time_softmax(const Kernels& kernels) {
  Numbers scores(kElements);
  std::vector<float> max(kTimedRows), sum(kTimedRows), rescale(kTimedRows);
  return nanoseconds_each(kElements, [&] {
    std::fill(max.begin(), max.end(), -kInf);
    std::fill(sum.begin(), sum.end(), 0.0f);
    kernels.softmax(scores.data(), kTimedRows, kColumns, kColumns, max.data(), sum.data(), rescale.data());
  });
}

double time_accumulate(const Kernels& kernels) {
  Numbers acc(kElements), mixed(kElements);
  const std::vector<float> rescale(kTimedRows, 0.5f);
  return nanoseconds_each(kElements, [&] { kernels.accumulate(acc.data(), mixed.data(), rescale.data(), kTimedRows, kColumns, kColumns); });
}

double time_normalize_rows(const Kernels& kernels) {
  Numbers acc(kElements);
  const std::vector<float> sum(kTimedRows, 1.0f);
  return nanoseconds_each(kElements, [&] { kernels.normalize_rows(acc.data(), sum.data(), kTimedRows, kColumns, kColumns); });
}

double time_poison_rows(const Kernels& kernels) {
  Numbers y(kElements);
  std::vector<float> poison(kTimedRows);
  return nanoseconds_each(kElements, [&] { kernels.poison_rows(y.data(), kTimedRows, kColumns, kColumns, poison.data()); });
}

double time_add_residual(const Kernels& kernels) {
  Numbers tile(kElements), x(kElements), y(kElements);
  const std::vector<float> poison(kTimedRows);
  OutputTile output = {};
  output.tile = tile.data();
  output.stride = kColumns;
  output.poison = poison.data();
  output.x = x.data();
  output.y = y.data();
  output.token_stride = 1;
  output.channel_stride = kTimedRows;
  output.tokens = kTimedRows;
  output.channels = kColumns;
  return nanoseconds_each(kElements, [&] { kernels.add_residual(output); });
}

double time_gemm(const Kernels& kernels) {
  const PanelLayout layout{
      .inputs = kColumns, .outputs = kColumns, .nr = static_cast<std::uint32_t>(gemm_tile(kernel_set()).columns)};
  Numbers input(kElements), operand(layout.size()), output(kElements);
  PanelProduct product = {};
  product.input = input.data();
  product.input_stride = product.output_stride = kColumns;
  product.rows = kTimedRows;
  product.inputs = layout.inputs;
  product.operand = operand.data();
  product.nr = layout.nr;
  product.outputs = layout.outputs;
  product.output = output.data();
  return nanoseconds_each(kElements * kColumns, [&] { kernels.gemm(product); });
}

}  // namespace edgeattn::test
