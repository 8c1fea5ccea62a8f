// Checkers of the products of reduced precision: gemm_half, gemm_int8.

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "matrices.h"
#include "reduced_checker.h"

namespace edgeattn::test {
namespace {

/// Every tail of what a product may do at once: rows, groups of depth, and columns of a panel.
template <class Body>
void for_products(Body body) {
  constexpr std::size_t kRows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13};
  constexpr std::size_t kInputs[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 257};
  constexpr std::size_t kOutputs[] = {1, 2, 7, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100, 129};
  for (std::size_t rows : kRows)
    for (std::size_t inputs : kInputs)
      for (std::size_t outputs : kOutputs)
        if ((rows + 3 * inputs + 5 * outputs) % (sample() ? 29 : 2) == 0) body(rows, inputs, outputs);
}

std::string text_of(std::size_t rows, std::size_t inputs, std::size_t outputs) {
  return std::to_string(rows) + " rows, " + std::to_string(inputs) + " inputs, " + std::to_string(outputs) + " outputs";
}

/// A normal number that both formats of 16 bits hold.
double half_value(std::mt19937_64& engine, double deviation = 1) {
  std::normal_distribution<double> normal(0, deviation);
  const double value = normal(engine);
  const double step = std::ldexp(1.0, std::ilogb(value) - 7);
  return std::abs(value) < 0x1p-14 ? 0.5 : std::nearbyint(value / step) * step;
}

/// A product of 16-bit rows; all of its memory, and what it is of.
struct HalfCase {
  HalfCase(const Reduced& reduced, std::size_t row_count, std::size_t input_count, std::size_t output_count)
      : table(reduced),
        format(reduced.traits),
        input(row_count, input_count, output_count % 3),
        operand(reduced.traits, input_count, output_count, row_count % 2 * 64),
        biases(output_count),
        out(row_count, output_count, input_count % 3),
        rescale(row_count) {
    std::mt19937_64 engine = random_engine(row_count * 1000 + input_count * 7 + output_count);
    for (std::size_t i = 0; i < rows(); ++i)
      for (std::size_t k = 0; k < inputs(); ++k) input.at(i, k) = format.nearest(half_value(engine));
    input.zero_padding();
    operand.clear();
    for (std::size_t j = 0; j < outputs(); ++j) {
      for (std::size_t k = 0; k < inputs(); ++k) operand.put(k, j, format.nearest(half_value(engine)));
      biases[j] = static_cast<float>(half_value(engine, 3));
    }
    put_biases();
    out.fill_rows(engine, 2);
    for (std::size_t i = 0; i < rows(); ++i) {
      constexpr float kFactors[] = {0.7f, 0.0f, 1.0f, 0x1p-20f, 0.3f, 0.999999f};
      rescale[i] = kFactors[(i + outputs()) % std::size(kFactors)];
      if (rescale[i] == 0 && outputs() % 2 == 1) std::fill_n(&out.at(i, 0), outputs(), kNan);
    }
  }

  std::size_t rows() const { return input.rows; }
  std::size_t inputs() const { return input.columns; }
  std::size_t outputs() const { return out.columns; }
  std::string text() const { return text_of(rows(), inputs(), outputs()); }

  void put_biases() {
    for (std::size_t j = 0; j < outputs(); ++j) std::memcpy(operand.header_place(j), &biases[j], sizeof biases[j]);
  }

  /// Rows first … first + count, into a matrix of as many.
  void multiply(Matrix& result, bool rescaled, std::size_t first = 0) {
    HalfProduct product = product_of<HalfProduct>(input, operand, result.values.data(), result.stride);
    product.input = input.row(first);
    product.rows = result.rows;
    product.rescale = rescaled ? rescale.data() + first : nullptr;
    table.gemm_half(product);
  }
  /// What multiply() makes of the rows, and leaves of the gaps.
  void multiply_all(Matrix& result, bool rescaled) {
    if (rescaled) result.values.copy(out.values);
    multiply(result, rescaled);
  }

  const Reduced& table;
  HalfFormat format;
  PaddedRows<Half> input;
  ReducedOperand<Half> operand;
  std::vector<float> biases;
  Matrix out;
  Buffer rescale;
};

/// gemm_half_fn against float64. Sums of n terms in float err by n roundings of all of their magnitudes, at most.
void check_half_sums(HalfCase& test, bool rescaled, Findings& findings) {
  const std::size_t gap = test.out.stride - test.out.columns;
  Matrix actual(test.rows(), test.outputs(), gap), expected(test.rows(), test.outputs(), gap);
  test.multiply_all(actual, rescaled);
  for (std::size_t i = 0; i < test.rows(); ++i) {
    for (std::size_t j = 0; j < test.outputs(); ++j) {
      double sum = static_cast<double>(test.biases[j]);
      if (rescaled) sum = test.rescale[i] == 0 ? 0 : static_cast<double>(test.out.at(i, j)) * static_cast<double>(test.rescale[i]);
      double magnitude = std::abs(sum);
      for (std::size_t k = 0; k < test.inputs(); ++k) {
        const double product = test.format.value(test.input.at(i, k)) * test.format.value(test.operand.at(k, j));
        sum += product;
        magnitude += std::abs(product);
      }
      const double half_sums = test.table.traits.half_is_fp16 ? 32 * 0x1p-11 : 0;
      const double bound = (static_cast<double>(test.inputs() + 2) * 0x1p-24 + half_sums) * magnitude;
      expected.at(i, j) = actual.at(i, j);
      findings.require(std::abs(static_cast<double>(actual.at(i, j)) - sum) <= bound, [&] { return test.text(); });
      findings.add(actual.at(i, j), bound);
    }
  }
  findings.require_same(actual.values, expected.values, [&] { return "between rows, " + test.text(); });
}

/// A row gets the same bits whichever rows stand around it.
void check_half_rows(HalfCase& test, Findings& findings) {
  for (bool rescaled : {false, true}) {
    Matrix all(test.rows(), test.outputs(), test.out.stride - test.out.columns);
    test.multiply_all(all, rescaled);
    for (std::size_t i = 0; i < test.rows(); ++i) {
      Matrix row(1, test.outputs(), 0);
      std::copy_n(&test.out.at(i, 0), test.outputs(), row.values.data());
      test.multiply(row, rescaled, i);
      for (std::size_t j = 0; j < test.outputs(); ++j)
        findings.require(same(row.at(0, j), all.at(i, j)), [&] { return "a row alone differs, " + test.text(); });
    }
  }
}

/// What is not finite spoils its row, or its column, and nothing else.
void check_half_non_finite(HalfCase& test, Findings& findings) {
  const std::size_t gap = test.out.stride - test.out.columns;
  const NotFinite data;
  for (bool rescaled : {false, true}) {
    Matrix clean(test.rows(), test.outputs(), gap), spoilt(test.rows(), test.outputs(), gap);
    test.multiply_all(clean, rescaled);
    const auto require_only = [&](auto is_bad) {
      test.multiply_all(spoilt, rescaled);
      for (std::size_t i = 0; i < test.rows(); ++i)
        for (std::size_t j = 0; j < test.outputs(); ++j)
          findings.require(is_bad(i, j) ? !std::isfinite(spoilt.at(i, j)) : same(spoilt.at(i, j), clean.at(i, j)),
                           [&] { return "a value that is not finite, " + test.text(); });
    };
    for (std::size_t turn = 0; turn < std::size(kNonFinite); ++turn) {
      const Half bad = test.format.nearest(static_cast<double>(kNonFinite[turn]));
      const std::size_t row = turn % test.rows(), k = (turn * 7) % test.inputs(), column = (turn * 5) % test.outputs();
      const Half good_input = std::exchange(test.input.at(row, k), bad);
      require_only([&](std::size_t i, std::size_t) { return i == row; });
      test.input.at(row, k) = good_input;
      const Half good_element = test.operand.at(k, column);
      test.operand.put(k, column, bad);
      require_only([&](std::size_t, std::size_t j) { return j == column; });
      test.operand.put(k, column, good_element);
      const float good_bias = std::exchange(test.biases[column], kNonFinite[turn]);
      test.put_biases();
      require_only([&](std::size_t, std::size_t j) { return !rescaled && j == column; });
      test.biases[column] = good_bias;
      test.put_biases();
      const float good_out = std::exchange(test.out.at(row, column), kNonFinite[turn]);
      require_only([&](std::size_t i, std::size_t j) { return rescaled && i == row && j == column && test.rescale[i] != 0; });
      test.out.at(row, column) = good_out;
    }
  }
}

/// What the rows and the operand of an 8-bit product hold.
enum class Int8Values : std::uint8_t { kRandom, kLargest };

/// gemm_int8_fn: every sum is exact, and then rounded as the contract says.
void check_int8(const Reduced& table, std::size_t rows, std::size_t inputs, std::size_t outputs, Int8Values values,
                Findings& findings) {
  std::mt19937_64 engine = random_engine(rows * 1000 + inputs * 7 + outputs);
  std::uniform_int_distribution<int> uniform(-127, 127);
  const auto draw = [&](int largest) { return static_cast<std::int8_t>(values == Int8Values::kRandom ? uniform(engine) : largest); };
  PaddedRows<std::uint8_t> input(rows, inputs, outputs % 3);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t k = 0; k < inputs; ++k)
      input.at(i, k) = static_cast<std::uint8_t>(static_cast<std::uint8_t>(draw(i % 2 == 0 ? 127 : -127)) ^ table.traits.flip);
  input.zero_padding();
  ReducedOperand<std::int8_t> operand(table.traits, inputs, outputs, rows % 2 * 64);
  operand.clear();
  std::vector<float> column_scales(outputs);
  for (std::size_t j = 0; j < outputs; ++j) {
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < inputs; ++k) {
      operand.put(k, j, draw(j % 3 == 0 ? 127 : -127));
      sum += operand.at(k, j);
    }
    column_scales[j] = j % 11 == 5 ? 0.0f : 0.013f * static_cast<float>(j % 7 + 1);
    const std::int32_t compensation = table.traits.flip == 0 ? 0 : -128 * sum;
    std::memcpy(operand.header_place(j), &column_scales[j], sizeof(float));
    std::memcpy(operand.header_place(j, true), &compensation, sizeof compensation);
  }
  Buffer scales(rows);
  for (std::size_t i = 0; i < rows; ++i) scales[i] = i == inputs % 5 ? kNan : i % 4 == 3 ? 0.0f : 0.07f + static_cast<float>(i);
  Matrix actual(rows, outputs, inputs % 3), expected(rows, outputs, inputs % 3);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < outputs; ++j) {
      std::int64_t sum = 0;
      for (std::size_t k = 0; k < inputs; ++k)
        sum += static_cast<std::int8_t>(input.at(i, k) ^ table.traits.flip) * std::int64_t{operand.at(k, j)};
      expected.at(i, j) = static_cast<float>(sum) * (scales[i] * column_scales[j]);
    }
  }
  Int8Product product = product_of<Int8Product>(input, operand, actual.values.data(), actual.stride);
  product.scales = scales.data();
  table.gemm_int8(product);
  findings.require_same(actual.values, expected.values, [&] { return text_of(rows, inputs, outputs); });
}

}  // namespace

void check_gemm_half(const Reduced& table, Findings& findings) {
  std::size_t turn = 0;
  for_products([&](std::size_t rows, std::size_t inputs, std::size_t outputs) {
    HalfCase test(table, rows, inputs, outputs);
    for (bool rescaled : {false, true}) check_half_sums(test, rescaled, findings);
    if (++turn % 4 == 0) check_half_rows(test, findings);
    if (turn % 16 == 1) check_half_non_finite(test, findings);
  });
}

void check_gemm_int8(const Reduced& table, Findings& findings) {
  for_products([&](std::size_t rows, std::size_t inputs, std::size_t outputs) {
    check_int8(table, rows, inputs, outputs, Int8Values::kRandom, findings);
  });
  check_int8(table, 2, kMostInt8Inputs, 5, Int8Values::kLargest, findings);
}

}  // namespace edgeattn::test
