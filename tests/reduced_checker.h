#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

#include "kernel_checker.h"
#include "reduced_kernels.h"
#include "support.h"

namespace edgeattn::test {

/// A table of kernels of reduced precision, with what its operands look like.
struct Reduced : ReducedKernels {
  ReducedTraits traits = {};
};

inline Reduced without_entries(const Reduced& table) {
  Reduced result = {};
  result.traits = table.traits;
  return result;
}

using ReducedCheck = CheckOf<Reduced>;
using ReducedTiming = TimingOf<Reduced>;

ReducedCheck check_round_rows, check_quantize_rows, check_softmax_half;
ReducedCheck check_pack_half_columns, check_pack_int8_columns, check_pack_rows, check_unpack_half_rows;
ReducedCheck check_gemm_half, check_gemm_int8;

/// Of a product, a multiply-add is the element.
ReducedTiming time_round_rows, time_quantize_rows, time_softmax_half;
ReducedTiming time_pack_half_columns, time_pack_int8_columns, time_pack_rows, time_unpack_half_rows;
ReducedTiming time_gemm_half, time_gemm_int8;

/// The products of 126 rows with 512 outputs, of any depth: nanoseconds of a multiply-add.
double time_gemm_half_of(const Reduced& table, std::size_t inputs);
double time_gemm_int8_of(const Reduced& table, std::size_t inputs);

/// A format of 16 bits, as its definition has it.
struct HalfFormat {
  explicit HalfFormat(const ReducedTraits& traits)
      : digits(traits.half_is_fp16 ? 11 : 8), smallest_exponent(traits.half_is_fp16 ? -14 : -126) {}

  int fraction_bits() const { return digits - 1; }
  std::uint32_t infinity() const { return 0x7FFFu >> fraction_bits() << fraction_bits(); }
  bool is_nan(Half half) const { return (half & 0x7FFFu) > infinity(); }
  /// Relative error of rounding to nearest.
  double unit() const { return std::ldexp(1.0, -digits); }
  double smallest() const { return std::ldexp(1.0, smallest_exponent); }

  double value(Half half) const {
    const std::uint32_t magnitude = half & 0x7FFFu;
    const double sign = (half & 0x8000u) != 0 ? -1 : 1;
    if (is_nan(half)) return std::numeric_limits<double>::quiet_NaN();
    if (magnitude == infinity()) return sign * std::numeric_limits<double>::infinity();
    const int field = static_cast<int>(magnitude >> fraction_bits());
    const std::uint32_t fraction = magnitude & ((1u << fraction_bits()) - 1);
    const std::uint32_t significand = field == 0 ? fraction : fraction + (1u << fraction_bits());
    const int exponent = smallest_exponent + (field == 0 ? 0 : field - 1);
    return sign * std::ldexp(static_cast<double>(significand), exponent - fraction_bits());
  }

  /// To nearest, ties to even.
  Half nearest(double value) const {
    const std::uint32_t sign = std::signbit(value) ? 0x8000 : 0;
    if (std::isnan(value)) return static_cast<Half>(sign | (infinity() + (1u << (fraction_bits() - 1))));
    const double magnitude = std::abs(value);
    std::uint32_t bits = infinity();
    if (magnitude < 0x1p128) {
      const int exponent = magnitude == 0 ? smallest_exponent : std::max(std::ilogb(magnitude), smallest_exponent);
      const double significand = std::nearbyint(std::ldexp(magnitude, fraction_bits() - exponent));
      bits = (static_cast<std::uint32_t>(exponent - smallest_exponent) << fraction_bits()) + static_cast<std::uint32_t>(significand);
    }
    return static_cast<Half>(sign | std::min(bits, infinity()));
  }

  int digits;
  int smallest_exponent;
};

inline std::size_t round_up(std::size_t count, std::size_t unit) { return (count + unit - 1) / unit * unit; }

/// Rows of 8 or 16 bits: padded, at strides of whole kRowUnit bytes; what lies between them are canaries.
template <class Element>
struct PaddedRows {
  static constexpr std::size_t kUnit = kRowUnit / sizeof(Element);

  PaddedRows(std::size_t row_count, std::size_t column_count, std::size_t gap_units)
      : rows(row_count),
        columns(column_count),
        padded(round_up(columns, kUnit)),
        stride(padded + gap_units * kUnit),
        values((rows - 1) * stride + padded, alignof(float)) {}

  Element& at(std::size_t i, std::size_t j) { return values[i * stride + j]; }
  Element* row(std::size_t i) { return values.data() + i * stride; }
  void zero_padding() {
    for (std::size_t i = 0; i < rows; ++i) std::fill(row(i) + columns, row(i) + padded, Element{0});
  }
  std::string text() const { return std::to_string(rows) + " rows, " + std::to_string(columns) + " columns"; }

  std::size_t rows;
  std::size_t columns;
  std::size_t padded;
  std::size_t stride;
  Guarded<Element> values;
};

/// A packed operand in memory of canaries, element by element.
template <class Element>
struct ReducedOperand {
  static constexpr bool kHalves = sizeof(Element) == sizeof(Half);

  /// @param gap  bytes between panels, a multiple of 64
  ReducedOperand(const ReducedTraits& traits, std::size_t input_count, std::size_t output_count, std::size_t gap = 0)
      : inputs(input_count),
        outputs(output_count),
        nr(traits.nr),
        group(kHalves ? traits.half_group : traits.int8_group),
        header(nr * (kHalves ? sizeof(float) : sizeof(float) + sizeof(std::int32_t))),
        panel_bytes(header + groups() * nr * group + gap),
        bytes(panels() * panel_bytes, 64) {}

  std::size_t groups() const { return (inputs + elements() - 1) / elements(); }
  std::size_t elements() const { return group / sizeof(Element); }
  std::size_t panels() const { return (outputs + nr - 1) / nr; }
  std::size_t padded_outputs() const { return panels() * nr; }
  ReducedPanels as_panels() { return {bytes.data(), nr, panel_bytes}; }

  std::uint8_t* place(std::size_t k, std::size_t j) {
    return bytes.data() + j / nr * panel_bytes + header + (k / elements() * nr + j % nr) * group + k % elements() * sizeof(Element);
  }
  Element at(std::size_t k, std::size_t j) {
    Element element;
    std::memcpy(&element, place(k, j), sizeof element);
    return element;
  }
  void put(std::size_t k, std::size_t j, Element element) { std::memcpy(place(k, j), &element, sizeof element); }
  /// The bias or scale of a column, or with `second` its compensation.
  std::uint8_t* header_place(std::size_t j, bool second = false) {
    return bytes.data() + j / nr * panel_bytes + (j % nr + (second ? nr : 0)) * sizeof(float);
  }
  /// All of the elements and headers zero, padding included; what lies between panels stays as it is.
  void clear() {
    for (std::size_t panel = 0; panel < panels(); ++panel)
      std::memset(bytes.data() + panel * panel_bytes, 0, header + groups() * nr * group);
  }

  std::size_t inputs;
  std::size_t outputs;
  std::size_t nr;
  std::size_t group;
  std::size_t header;
  std::size_t panel_bytes;
  Guarded<std::uint8_t> bytes;
};

/// The product of all rows with an operand: a HalfProduct, or an Int8Product that still lacks the scales of its rows.
template <class Product, class Input, class Element>
Product product_of(PaddedRows<Input>& rows, ReducedOperand<Element>& operand, float* out, std::size_t out_stride) {
  Product product = {};
  product.input = rows.values.data();
  product.input_stride = rows.stride;
  product.rows = rows.rows;
  product.operand = operand.as_panels();
  product.inputs = operand.inputs;
  product.outputs = operand.outputs;
  product.out = out;
  product.out_stride = out_stride;
  return product;
}

}  // namespace edgeattn::test
