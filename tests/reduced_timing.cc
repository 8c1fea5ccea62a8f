// Times the entries of the table of reduced precision in a tile of 126 rows.

#include <algorithm>
#include <vector>

#include "best_time.h"
#include "reduced_checker.h"

namespace edgeattn::test {
namespace {

constexpr std::size_t kTimedRows = 126;
constexpr std::size_t kColumns = 512;
constexpr std::size_t kElements = kTimedRows * kColumns;

/// Numbers of both formats, none of them large.
Half half_of(const HalfFormat& format, std::size_t i) { return format.nearest(static_cast<double>(i % 61) / 64 - 0.5); }

void fill(PaddedRows<Half>& rows, const HalfFormat& format) {
  for (std::size_t i = 0; i < rows.rows; ++i)
    for (std::size_t c = 0; c < rows.columns; ++c) rows.at(i, c) = half_of(format, i * 7 + c * 5);
}

template <class Element>
double time_columns(pack_columns_fn* pack_columns, const ReducedTraits& traits) {
  PaddedRows<Element> rows(kTimedRows, kColumns, 0);
  std::fill_n(rows.values.data(), rows.values.size(), Element{1});
  ReducedOperand<Element> operand(traits, kColumns, kTimedRows);
  return nanoseconds_each(kElements, [&] {
    for (std::size_t first = 0; first < kTimedRows; first += traits.nr)
      pack_columns(reinterpret_cast<const std::uint8_t*>(rows.row(first)), rows.stride * sizeof(Element),
                   std::min(traits.nr, kTimedRows - first), traits.nr, operand.groups(), operand.place(0, first), traits.nr);
  });
}

}  // namespace

double time_round_rows(const Reduced& table) {
  Numbers rows(kElements);
  const std::vector<float> sum(kTimedRows, 3.0f);
  PaddedRows<Half> out(kTimedRows, kColumns, 0);
  return nanoseconds_each(kElements, [&] {
    table.round_rows(rows.data(), sum.data(), kTimedRows, kColumns, kColumns, out.values.data(), out.stride);
  });
}

double time_quantize_rows(const Reduced& table) {
  Numbers rows(kElements), center(kColumns);
  std::vector<float> scales(kTimedRows);
  std::vector<std::int32_t> sums(kTimedRows);
  PaddedRows<std::uint8_t> out(kTimedRows, kColumns, 0);
  return nanoseconds_each(kElements, [&] {
    table.quantize_rows(rows.data(), center.data(), kTimedRows, kColumns, kColumns, 0, out.values.data(), out.stride, scales.data(),
                        sums.data());
  });
}

double time_softmax_half(const Reduced& table) {
  Numbers scores(kElements);
  std::vector<float> max(kTimedRows), sum(kTimedRows), rescale(kTimedRows);
  PaddedRows<Half> weights(kTimedRows, kColumns, 0);
  return nanoseconds_each(kElements, [&] {
    std::fill(max.begin(), max.end(), -kInf);
    std::fill(sum.begin(), sum.end(), 0.0f);
    table.softmax_half(scores.data(), kTimedRows, kColumns, kColumns, max.data(), sum.data(), rescale.data(), weights.values.data(),
                       weights.stride);
  });
}

double time_pack_half_columns(const Reduced& table) { return time_columns<Half>(table.pack_half_columns, table.traits); }

double time_pack_int8_columns(const Reduced& table) { return time_columns<std::uint8_t>(table.pack_int8_columns, table.traits); }

double time_pack_rows(const Reduced& table) {
  PaddedRows<Half> rows(kTimedRows, kColumns, 0);
  fill(rows, HalfFormat(table.traits));
  ReducedOperand<Half> operand(table.traits, kTimedRows, kColumns);
  return nanoseconds_each(kElements, [&] {
    table.pack_rows(rows.values.data(), kTimedRows, kColumns, rows.stride, operand.as_panels(), 0);
  });
}

double time_unpack_half_rows(const Reduced& table) {
  ReducedOperand<Half> operand(table.traits, kTimedRows, kColumns);
  operand.clear();
  PaddedRows<Half> out(kTimedRows, kColumns, 0);
  return nanoseconds_each(kElements, [&] {
    table.unpack_half_rows(operand.as_panels(), 0, kTimedRows, kColumns, out.values.data(), out.stride);
  });
}

double time_gemm_half_of(const Reduced& table, std::size_t inputs) {
  const HalfFormat format(table.traits);
  PaddedRows<Half> rows(kTimedRows, inputs, 0);
  fill(rows, format);
  ReducedOperand<Half> operand(table.traits, inputs, kColumns);
  operand.clear();
  for (std::size_t k = 0; k < inputs; ++k)
    for (std::size_t j = 0; j < kColumns; ++j) operand.put(k, j, half_of(format, k * 3 + j * 11));
  Numbers out(kElements);
  const HalfProduct product = product_of<HalfProduct>(rows, operand, out.data(), kColumns);
  return nanoseconds_each(kElements * inputs, [&] { table.gemm_half(product); });
}

double time_gemm_int8_of(const Reduced& table, std::size_t inputs) {
  PaddedRows<std::uint8_t> rows(kTimedRows, inputs, 0);
  for (std::size_t i = 0; i < kTimedRows; ++i)
    for (std::size_t k = 0; k < inputs; ++k) rows.at(i, k) = static_cast<std::uint8_t>((i * 7 + k * 5) % 255 + 1);
  ReducedOperand<std::int8_t> operand(table.traits, inputs, kColumns);
  operand.clear();
  for (std::size_t k = 0; k < inputs; ++k)
    for (std::size_t j = 0; j < kColumns; ++j) operand.put(k, j, static_cast<std::int8_t>((k * 3 + j * 11) % 255));
  const std::vector<float> scales(kTimedRows, 1.0f);
  Numbers out(kElements);
  Int8Product product = product_of<Int8Product>(rows, operand, out.data(), kColumns);
  product.scales = scales.data();
  return nanoseconds_each(kElements * inputs, [&] { table.gemm_int8(product); });
}

double time_gemm_half(const Reduced& table) { return time_gemm_half_of(table, kColumns); }

double time_gemm_int8(const Reduced& table) { return time_gemm_int8_of(table, kColumns); }

}  // namespace edgeattn::test
