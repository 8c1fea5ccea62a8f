// Checker of the kernel gemm.

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "kernel_checker.h"
#include "support.h"

namespace edgeattn::test {
namespace {

/// Widths of panels, of which those are tried that both the instruction set and the scalar kernels take.
constexpr std::initializer_list<std::uint32_t> kPanelWidths = {16, 32, 48, 64};

/// One product, whose rows are apart by a gap of canaries. What the operand holds past the last output are NaNs.
struct Product {
  Product(std::size_t row_count, const PanelLayout& operand_layout, std::size_t gap)
      : rows(row_count),
        layout(operand_layout),
        input_stride(layout.inputs + gap),
        output_stride(layout.outputs + 2 * gap),
        input((rows - 1) * input_stride + layout.inputs),
        operand(layout.size()),
        output((rows - 1) * output_stride + layout.outputs),
        rescale(rows) {}

  void fill(std::mt19937_64& engine, double deviation) {
    std::normal_distribution<double> normal(0, deviation);
    const auto draw = [&] { return static_cast<float>(normal(engine)); };
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t k = 0; k < layout.inputs; ++k) at(i, k) = draw();
    for (std::size_t j = 0; j < layout.outputs; ++j) {
      operand[layout.bias_offset(j)] = draw();
      for (std::size_t k = 0; k < layout.inputs; ++k) operand[layout.offset(k, j)] = draw();
    }
    constexpr float kRescales[] = {1.0f, 0.0f, 0.75f, 0x1p-100f, 0.1f};
    for (std::size_t i = 0; i < rows; ++i) rescale[i] = kRescales[i % std::size(kRescales)];
  }
  /// What the output holds before: what a rescale of 0 discards is NaN.
  void fill_output() {
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < layout.outputs; ++j)
        output[i * output_stride + j] = rescale[i] == 0 ? std::nanf("") : static_cast<float>(i + 1) / static_cast<float>(j + 3);
  }
  void multiply(const Kernels& kernels) {
    kernels.gemm({.input = input.data(),
                  .input_stride = input_stride,
                  .rows = rows,
                  .inputs = layout.inputs,
                  .operand = operand.data(),
                  .nr = layout.nr,
                  .outputs = layout.outputs,
                  .output = output.data(),
                  .output_stride = output_stride,
                  .rescale = adds ? rescale.data() : nullptr});
  }

  float& at(std::size_t i, std::size_t k) { return input[i * input_stride + k]; }
  std::string text() const {
    return std::to_string(rows) + " rows, " + std::to_string(layout.inputs) + " to " + std::to_string(layout.outputs) + ", nr " +
           std::to_string(layout.nr) + (adds ? ", added" : "");
  }

  std::size_t rows;
  PanelLayout layout;
  std::size_t input_stride;
  std::size_t output_stride;
  Buffer input;
  Buffer operand;
  Buffer output;
  Buffer rescale;
  bool adds = false;
};

/// Every output is the one chain or the other of its contract, and within the bound of the exact sum.
void check_product(const Kernels& kernels, Product& product, Findings& findings) {
  const PanelLayout& layout = product.layout;
  Buffer before(product.output.size()), expected(product.output.size());
  product.fill_output();
  std::copy_n(product.output.data(), before.size(), before.data());
  product.multiply(kernels);
  for (std::size_t i = 0; i < product.rows; ++i) {
    for (std::size_t j = 0; j < layout.outputs; ++j) {
      const float bias = product.operand[layout.bias_offset(j)];
      float fused = bias, rounded_twice = bias;
      double exact = static_cast<double>(bias), magnitude = std::abs(exact);
      for (std::size_t k = 0; k < layout.inputs; ++k) {
        const float a = product.at(i, k), b = product.operand[layout.offset(k, j)];
        fused = std::fma(a, b, fused);
        const float rounded = a * b;
        rounded_twice = rounded_twice + rounded;
        const double term = static_cast<double>(a) * static_cast<double>(b);
        exact += term;
        magnitude += std::abs(term);
      }
      const float rescale = product.rescale[i];
      if (product.adds && rescale != 0) {
        const float held = before[i * product.output_stride + j], rounded = held * rescale;
        fused = std::fma(held, rescale, fused);
        rounded_twice = rounded + rounded_twice;
        exact += static_cast<double>(held) * static_cast<double>(rescale);
        magnitude += std::abs(static_cast<double>(held) * static_cast<double>(rescale));
      }
      const float actual = product.output[i * product.output_stride + j];
      expected[i * product.output_stride + j] = same(actual, fused) ? fused : rounded_twice;
      if (!std::isfinite(magnitude)) continue;
      const double bound = static_cast<double>(layout.inputs + (product.adds ? 2 : 1)) * 0x1p-24 * magnitude;
      findings.require(std::abs(static_cast<double>(actual) - exact) <= bound, [&] { return "error, " + product.text(); });
      findings.add(actual, bound);
    }
  }
  findings.require_same(product.output, expected, [&] { return product.text(); });
}

/// A number that is not finite spoils its row or its column, as the formula says.
void check_non_finite(const Kernels& kernels, std::size_t rows, const PanelLayout& layout, Findings& findings) {
  std::mt19937_64 engine = random_engine(rows * 100 + layout.outputs);
  Product product(rows, layout, 1);
  product.fill(engine, 1);
  const NotFinite data;
  for (float bad : kNonFinite) {
    for (std::size_t place : {std::size_t{0}, layout.inputs / 2, layout.inputs - 1}) {
      float& input = product.at(place % rows, place);
      float& weight = product.operand[layout.offset(place, place * 5 % layout.outputs)];
      for (float* value : {&input, &weight}) {
        const float good = *value;
        *value = bad;
        check_product(kernels, product, findings);
        *value = good;
      }
    }
  }
}

}  // namespace

void check_gemm(const Kernels& kernels, Findings& findings) {
  std::mt19937_64 engine = random_engine(27);
  std::size_t turn = 0;
  const auto check = [&](std::size_t rows, std::size_t inputs, std::size_t outputs, std::uint32_t nr) {
    Product product(rows, {.inputs = inputs, .outputs = outputs, .nr = nr}, turn % 3);
    product.adds = turn % 2 == 1;
    product.fill(engine, turn++ % 4 == 0 ? 1e-5 : 1);
    check_product(kernels, product, findings);
  };
  for (std::uint32_t nr : kPanelWidths) {
    if (nr % std::max(gemm_tile(kernel_set()).columns, gemm_tile(KernelSet::kScalar).columns) != 0) continue;
    for (std::size_t rows = 1; rows <= 14; ++rows)
      for (std::size_t outputs = 1; outputs <= nr + kEveryTail; ++outputs)
        if (!sample() || (rows + outputs) % 5 == 0) check(rows, 1 + (rows + 3 * outputs) % 9, outputs, nr);
    for (std::size_t inputs : {1u, 2u, 3u, 4u, 5u, 31u, 64u, 257u})
      for (std::size_t rows : {1u, 7u, 12u, 25u, 53u}) {
        check(rows, inputs, nr + inputs % nr, nr);
        check(rows, inputs, 8 * rows + inputs % nr, nr);
      }
    check_non_finite(kernels, 13, {.inputs = 9, .outputs = nr + 5, .nr = nr}, findings);
  }
}

}  // namespace edgeattn::test
