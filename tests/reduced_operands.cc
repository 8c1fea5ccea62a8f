// Checkers of the kernels that make and read operands of reduced precision: pack_*_columns, pack_rows, unpack_half_rows.

#include <algorithm>
#include <utility>

#include "reduced_checker.h"

namespace edgeattn::test {
namespace {

/// Distinct elements, no zero among them.
template <class Element>
Element mark(std::size_t k, std::size_t j) {
  return static_cast<Element>((k * 131 + j * 7919) % 32749 % ((1u << (8 * sizeof(Element))) - 1) + 1);
}

template <class Element>
void add_elements(ReducedOperand<Element>& operand, Findings& findings) {
  for (std::size_t k = 0; k < operand.inputs; ++k)
    for (std::size_t j = 0; j < operand.outputs; ++j) findings.add(static_cast<float>(operand.at(k, j)));
}

/// Packs `outputs` rows of `inputs` elements panel by panel, each in two strips of which the second ends the panel.
template <class Element>
void check_columns(pack_columns_fn* pack_columns, const ReducedTraits& traits, std::size_t inputs, std::size_t outputs,
                   Findings& findings) {
  PaddedRows<Element> rows(outputs, inputs, outputs % 3);
  for (std::size_t j = 0; j < outputs; ++j)
    for (std::size_t k = 0; k < inputs; ++k) rows.at(j, k) = mark<Element>(k, j);
  rows.zero_padding();
  ReducedOperand<Element> actual(traits, inputs, outputs, outputs % 2 * 64), expected(traits, inputs, outputs, outputs % 2 * 64);
  const std::size_t depth = expected.groups() * expected.elements();
  for (std::size_t j = 0; j < expected.padded_outputs(); ++j)
    for (std::size_t k = 0; k < depth; ++k) expected.put(k, j, k < inputs && j < outputs ? mark<Element>(k, j) : Element{0});
  for (std::size_t first = 0; first < outputs; first += traits.nr) {
    const std::size_t live = std::min(traits.nr, outputs - first);
    const std::size_t cut = (inputs + outputs) % live;  // of the first strip, if there is one
    for (const auto& [begin, end] : {std::pair<std::size_t, std::size_t>{0, cut}, {cut, live}}) {
      if (begin == end) continue;
      pack_columns(reinterpret_cast<const std::uint8_t*>(rows.row(first + begin)), rows.stride * sizeof(Element), end - begin,
                   end == live ? traits.nr - begin : end - begin, actual.groups(), actual.place(0, first + begin), traits.nr);
    }
  }
  findings.require_same_bytes(actual.bytes, expected.bytes, [&] { return rows.text(); });
  add_elements(actual, findings);
}

template <class Body>
void for_operands(Body body) {
  for_sizes([&](std::size_t inputs, std::size_t outputs) { body(inputs, outputs); });
  for (std::size_t outputs : {127u, 128u, 130u})
    for (std::size_t inputs : {1u, 16u, 37u}) body(inputs, outputs);
}

void check_packed_rows(const Reduced& table, std::size_t tokens, std::size_t channels, std::size_t first, Findings& findings) {
  PaddedRows<Half> rows(tokens, channels, tokens % 3);
  for (std::size_t t = 0; t < tokens; ++t)
    for (std::size_t c = 0; c < channels; ++c) rows.at(t, c) = mark<Half>(t, c);
  rows.zero_padding();
  ReducedOperand<Half> actual(table.traits, first + tokens, channels), expected(table.traits, first + tokens, channels);
  for (std::size_t c = 0; c < expected.padded_outputs(); ++c) {
    if (first == 0) std::memset(expected.header_place(c), 0, sizeof(float));
    for (std::size_t t = first; t < expected.groups() * expected.elements(); ++t)
      expected.put(t, c, t < first + tokens && c < channels ? mark<Half>(t - first, c) : Half{0});
  }
  table.pack_rows(rows.values.data(), tokens, channels, rows.stride, actual.as_panels(), first);
  findings.require_same_bytes(actual.bytes, expected.bytes, [&] { return rows.text() + ", first token " + std::to_string(first); });
  for (std::size_t t = 0; t < tokens; ++t)
    for (std::size_t c = 0; c < channels; ++c) findings.add(static_cast<float>(actual.at(first + t, c)));
}

void check_unpacked_rows(const Reduced& table, std::size_t tokens, std::size_t channels, std::size_t first, Findings& findings) {
  ReducedOperand<Half> operand(table.traits, first + tokens + channels % 3, channels);
  operand.clear();
  for (std::size_t t = 0; t < operand.inputs; ++t)
    for (std::size_t c = 0; c < channels; ++c) operand.put(t, c, mark<Half>(t, c));
  PaddedRows<Half> actual(tokens, channels, tokens % 3), expected(tokens, channels, tokens % 3);
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t c = 0; c < channels; ++c) {
      expected.at(t, c) = mark<Half>(first + t, c);
      findings.add(static_cast<float>(expected.at(t, c)));
    }
  }
  expected.zero_padding();
  table.unpack_half_rows(operand.as_panels(), first, tokens, channels, actual.values.data(), actual.stride);
  findings.require_same_bytes(actual.values, expected.values, [&] { return actual.text() + ", first token " + std::to_string(first); });
}

}  // namespace

void check_pack_half_columns(const Reduced& table, Findings& findings) {
  for_operands([&](std::size_t inputs, std::size_t outputs) {
    check_columns<Half>(table.pack_half_columns, table.traits, inputs, outputs, findings);
  });
}

void check_pack_int8_columns(const Reduced& table, Findings& findings) {
  for_operands([&](std::size_t inputs, std::size_t outputs) {
    check_columns<std::uint8_t>(table.pack_int8_columns, table.traits, inputs, outputs, findings);
  });
}

void check_pack_rows(const Reduced& table, Findings& findings) {
  for_operands([&](std::size_t tokens, std::size_t channels) {
    check_packed_rows(table, tokens, channels, (tokens + channels) % 3 * 64, findings);
  });
}

void check_unpack_half_rows(const Reduced& table, Findings& findings) {
  for_operands([&](std::size_t tokens, std::size_t channels) {
    check_unpacked_rows(table, tokens, channels, (tokens + channels) % 11, findings);
  });
}

}  // namespace edgeattn::test
