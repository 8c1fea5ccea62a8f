#pragma once

#include "../simd/for_lanes.h"
#include "reduced_avx512.h"

namespace edgeattn {
namespace {

/// sum + a₀·b₀ + a₁·b₁ of pairs of bfloat16.
[[gnu::always_inline]] inline Vec dot_halves(Vec sum, Ints a, Ints b) {
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}

/// sum + Σ a·b of four unsigned bytes a and four signed ones b. GCC 12 copies the sums of its own intrinsic back and forth, for
/// want of registers through the stack.
[[gnu::always_inline]] inline Ints dot_bytes(Ints sum, Ints a, Ints b) {
#if defined(__clang__)
  return _mm512_dpbusd_epi32(sum, a, b);
#else
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  return sum;
#endif
}

/// sums[i][v] += lane by lane dot products of the groups of row i with those of the panel's columns, group after group.
template <size_t kRows, class Sum, class Dot>
[[gnu::always_inline]] inline void add_products(Sum (&sums)[kRows][kVectors], const uint8_t* rows, size_t stride_bytes,
                                                const uint8_t* groups, size_t count, Dot dot) {
  for (size_t g = 0; g < count; ++g, rows += kGroup, groups += kNr * kGroup) {
    Ints columns[kVectors];
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) columns[v] = _mm512_load_si512(groups + v * sizeof(Ints));
#pragma GCC unroll 6
    for (size_t i = 0; i < kRows; ++i) {
      int32_t group;
      __builtin_memcpy(&group, rows + i * stride_bytes, sizeof group);
      const Ints row = _mm512_set1_epi32(group);
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectors; ++v) sums[i][v] = dot(sums[i][v], row, columns[v]);
    }
  }
}

/// kRows rows of one panel, from `row` on. Never inlined: each needs all registers.
template <size_t kRows>
[[gnu::noinline]] void multiply_rows(const HalfProduct& product, size_t row, size_t first) {
  const PanelMasks masks(product.outputs - first);
  float* const out = product.out + row * product.out_stride + first;
  Vec sums[kRows][kVectors];
  if (product.rescale == nullptr) {
    const auto* const biases = reinterpret_cast<const float*>(product.operand.data + first / kNr * product.operand.panel_bytes);
#pragma GCC unroll 6
    for (size_t i = 0; i < kRows; ++i)
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectors; ++v) sums[i][v] = load(biases + v * kLanes, All{});
  } else {
#pragma GCC unroll 6
    for (size_t i = 0; i < kRows; ++i) {
      const Vec factor = broadcast(product.rescale[row + i]);
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectors; ++v) {
        const Vec before = load(out + i * product.out_stride + v * kLanes, masks[v]);
        sums[i][v] = keep_where_different(multiply(before, factor), factor, zero());
      }
    }
  }
  add_products(sums, reinterpret_cast<const uint8_t*>(product.input + row * product.input_stride),
               product.input_stride * sizeof(Half), reinterpret_cast<const uint8_t*>(half_groups(product.operand, 0, first)),
               groups_of<Half>(product.inputs, kGroup), dot_halves);
#pragma GCC unroll 6
  for (size_t i = 0; i < kRows; ++i)
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) store(out + i * product.out_stride + v * kLanes, sums[i][v], masks[v]);
}

template <size_t kRows>
[[gnu::noinline]] void multiply_rows(const Int8Product& product, size_t row, size_t first) {
  const PanelMasks masks(product.outputs - first);
  const uint8_t* const panel = product.operand.data + first / kNr * product.operand.panel_bytes;
  const auto* const scales = reinterpret_cast<const float*>(panel);
  const uint8_t* const compensations = panel + kNr * sizeof(float);
  Ints sums[kRows][kVectors];
#pragma GCC unroll 6
  for (size_t i = 0; i < kRows; ++i)
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) sums[i][v] = _mm512_load_si512(compensations + v * sizeof(Ints));
  add_products(sums, product.input + row * product.input_stride, product.input_stride, panel + kNr * kInt8Header,
               groups_of<int8_t>(product.inputs, kGroup), dot_bytes);
  float* const out = product.out + row * product.out_stride + first;
#pragma GCC unroll 6
  for (size_t i = 0; i < kRows; ++i) {
    const Vec row_scale = broadcast(product.scales[row + i]);
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) {
      const Vec scale = multiply(row_scale, load(scales + v * kLanes, All{}));
      store(out + i * product.out_stride + v * kLanes, multiply(_mm512_cvtepi32_ps(sums[i][v]), scale), masks[v]);
    }
  }
}

/// Panel by panel, so that each is fetched once and then stays near; kMr rows at a time, and what is left of them together.
template <class Product>
inline void multiply_panels(const Product& product) {
  constexpr void (*kRest[])(const Product&, size_t, size_t) = {multiply_rows<1>, multiply_rows<2>, multiply_rows<3>,
                                                               multiply_rows<4>, multiply_rows<5>};
  const size_t whole = product.rows - product.rows % kMr;
  for (size_t first = 0; first < product.outputs; first += kNr) {
    for (size_t row = 0; row < whole; row += kMr) multiply_rows<kMr>(product, row, first);
    if (whole < product.rows) kRest[product.rows - whole - 1](product, whole, first);
  }
}

}  // namespace

void EDGEATTN_KERNEL(gemm_half)(const HalfProduct& product) { multiply_panels(product); }

void EDGEATTN_KERNEL(gemm_int8)(const Int8Product& product) { multiply_panels(product); }

}  // namespace edgeattn
