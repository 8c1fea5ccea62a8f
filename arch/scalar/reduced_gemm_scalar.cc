#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "half.h"
#include "reduced_panels.h"

namespace edgeattn {
namespace {

/// Columns of a panel, and bytes of a group.
constexpr std::size_t kNr = 16;
constexpr std::size_t kDepthBytes = 4;

/// sums[j] += Σ_k row[k]·operand[k, j] over the groups of one panel.
template <class Sum, class InputElement, class Element, class Widen>
void add_products(Sum (&sums)[kNr], const InputElement* row, const Element* groups, std::size_t inputs, Widen widen) {
  constexpr std::size_t kDepth = kDepthBytes / sizeof(Element);
  for (std::size_t k = 0; k < inputs; k += kDepth, groups += kNr * kDepth)
    for (std::size_t d = 0; d < kDepth; ++d)
      for (std::size_t j = 0; j < kNr; ++j) sums[j] += widen(row[k + d]) * widen(groups[j * kDepth + d]);
}

}  // namespace

void gemm_half_scalar(const HalfProduct& product) {
  for (std::size_t first = 0; first < product.outputs; first += kNr) {
    const std::size_t columns = std::min(kNr, product.outputs - first);
    const auto* const biases = reinterpret_cast<const float*>(product.operand.data + first / kNr * product.operand.panel_bytes);
    const Half* const groups = half_groups(product.operand, 0, first);
    for (std::size_t i = 0; i < product.rows; ++i) {
      float* const out = product.out + i * product.out_stride + first;
      float sums[kNr] = {};
      if (product.rescale == nullptr) {
        std::copy_n(biases, kNr, sums);
      } else if (product.rescale[i] != 0.0f) {
        for (std::size_t j = 0; j < columns; ++j) sums[j] = out[j] * product.rescale[i];
      }
      add_products(sums, product.input + i * product.input_stride, groups, product.inputs, scalar::widen_bf16);
      std::copy_n(sums, columns, out);
    }
  }
}

void gemm_int8_scalar(const Int8Product& product) {
  for (std::size_t first = 0; first < product.outputs; first += kNr) {
    const std::size_t columns = std::min(kNr, product.outputs - first);
    const std::uint8_t* const panel = product.operand.data + first / kNr * product.operand.panel_bytes;
    const auto* const scales = reinterpret_cast<const float*>(panel);
    const auto* const compensations = reinterpret_cast<const std::int32_t*>(scales + kNr);
    const auto* const groups = reinterpret_cast<const std::int8_t*>(panel + kNr * kInt8Header);
    for (std::size_t i = 0; i < product.rows; ++i) {
      std::int32_t sums[kNr];
      std::copy_n(compensations, kNr, sums);
      add_products(sums, product.input + i * product.input_stride, groups, product.inputs,
                   [](auto element) -> std::int32_t { return element; });
      float* const out = product.out + i * product.out_stride + first;
      for (std::size_t j = 0; j < columns; ++j) out[j] = static_cast<float>(sums[j]) * (product.scales[i] * scales[j]);
    }
  }
}

}  // namespace edgeattn
