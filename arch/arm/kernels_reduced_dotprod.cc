// The vocabulary comes before the kernels that are written in it.
// clang-format off
#include "neon.h"
#include "reduced_traits.h"

#undef EDGEATTN_KERNEL
#define EDGEATTN_KERNEL(op) op##_dotprod

namespace edgeattn {
namespace {

constexpr ReducedTraits kTraits = kDotprodTraits;
constexpr size_t kNr = kTraits.nr, kMr = kTraits.mr;

/// Rounded to fp16.
inline uint16x4_t to_half(Vec v) { return vreinterpret_u16_f16(vcvt_f16_f32(v)); }
inline uint16x8_t to_half(Vec low, Vec high) {
  return vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(low), high));
}

}  // namespace
}  // namespace edgeattn

#include "reduced_pack.h"
#include "reduced_rows.h"
#include "reduced_tiles.h"
// clang-format on

namespace edgeattn {
namespace {

// Not by intrinsics: gcc 12 makes two instructions of vfmaq_laneq_f16, and copies the sums of vdotq_laneq_s32 back and forth.

/// sums += the dot products of `columns` with group kGroup of `row`.
template <size_t kGroup>
inline void add_products(int32x4_t& sums, int8x16_t columns, int8x16_t row) {
  asm("sdot %0.4s, %1.16b, %2.4b[%3]" : "+w"(sums) : "w"(columns), "w"(row), "i"(kGroup));
}
/// sums += columns·row[kElement].
template <size_t kElement>
inline void add_products(float16x8_t& sums, float16x8_t columns, float16x8_t row) {
  asm("fmla %0.8h, %1.8h, %2.h[%3]" : "+w"(sums) : "w"(columns), "x"(row), "i"(kElement));
}

constexpr size_t kQuads = kNr / 4;
constexpr size_t kGroups = kStep / kTraits.int8_group;

/// Adds the products of `count` groups, kGroups at most, to the sums of each row.
template <size_t kRows>
[[gnu::always_inline]] inline void add_groups(int32x4_t (&sums)[kRows][kQuads], const uint8_t* const (&rows)[kRows],
                                              size_t first, const uint8_t* columns, size_t count) {
  int8x16_t input[kRows];
  for (size_t i = 0; i < kRows; ++i) input[i] = vreinterpretq_s8_u8(vld1q_u8(rows[i] + first * kTraits.int8_group));
  for_constants<kGroups>([&](auto group) __attribute__((always_inline)) {
    if (group.value >= count) return;
#pragma GCC unroll 8
    for (size_t q = 0; q < kQuads; ++q) {
      const int8x16_t four = vreinterpretq_s8_u8(vld1q_u8(columns + ((first + group.value) * kQuads + q) * kStep));
#pragma GCC unroll 8
      for (size_t i = 0; i < kRows; ++i) add_products<group.value>(sums[i][q], four, input[i]);
    }
  });
}

/// SDOT of a group of each row, picked by lane, with those of four columns.
template <size_t kRows>
[[gnu::noinline]] void multiply_tile(const Int8Tile& tile) {
  const uint8_t* rows[kRows];
  int32x4_t sums[kRows][kQuads];
#pragma GCC unroll 8
  for (size_t i = 0; i < kRows; ++i) {
    rows[i] = row_of(tile, i);
#pragma GCC unroll 8
    for (size_t q = 0; q < kQuads; ++q) sums[i][q] = begin(tile, i, 4 * q);
  }
  const uint8_t* const columns = tile.panel + header_bytes(tile);
  const size_t groups = groups_of<uint8_t>(tile.product.inputs, kTraits.int8_group);
  size_t first = 0;
  for (; first + kGroups <= groups; first += kGroups) add_groups(sums, rows, first, columns, kGroups);
  if (first < groups) add_groups(sums, rows, first, columns, groups - first);
#pragma GCC unroll 8
  for (size_t i = 0; i < kRows; ++i)
#pragma GCC unroll 8
    for (size_t q = 0; q < kQuads; ++q) finish(tile, i, 4 * q, sums[i][q]);
}

constexpr size_t kElements = kStep / sizeof(Half);
static_assert(kNr == kElements, "the columns are those of one vector");

/// Adds `count` products, kElements at most, to the sums of each row.
template <size_t kRows>
[[gnu::always_inline]] inline void add_elements(float16x8_t (&sums)[kRows], const uint8_t* const (&rows)[kRows], size_t first,
                                                const uint8_t* columns, size_t count) {
  float16x8_t input[kRows];
  for (size_t i = 0; i < kRows; ++i) input[i] = vreinterpretq_f16_u8(vld1q_u8(rows[i] + first * sizeof(Half)));
  for_constants<kElements>([&](auto element) __attribute__((always_inline)) {
    if (element.value >= count) return;
    const float16x8_t eight = vreinterpretq_f16_u8(vld1q_u8(columns + (first + element.value) * kStep));
    for (size_t i = 0; i < kRows; ++i) add_products<element.value>(sums[i], eight, input[i]);
  });
}

/// FMLA of fp16, elements of rows picked by lane. Sums of kChunk products are added up in float32, in memory: all registers are
/// those of fp16.
template <size_t kRows>
[[gnu::noinline]] void multiply_tile(const HalfTile& tile) {
  constexpr size_t kChunk = 32;
  const uint8_t* rows[kRows];
  for (size_t i = 0; i < kRows; ++i) {
    rows[i] = row_of(tile, i);
    for (size_t q = 0; q < kQuads; ++q) finish(tile, i, 4 * q, begin(tile, i, 4 * q));
  }
  const uint8_t* const columns = tile.panel + header_bytes(tile);
  const size_t inputs = tile.product.inputs;
  for (size_t chunk = 0; chunk < inputs; chunk += kChunk) {
    const size_t end = smaller_of(chunk + kChunk, inputs);
    float16x8_t sums[kRows];
    for (float16x8_t& row : sums) row = vdupq_n_f16(0);
    size_t first = chunk;
    for (; first + kElements <= end; first += kElements) add_elements(sums, rows, first, columns, kElements);
    if (first < end) add_elements(sums, rows, first, columns, end - first);
    for (size_t i = 0; i < kRows; ++i) {
      finish(tile, i, 0, add(so_far(tile, i, 0), vcvt_f32_f16(vget_low_f16(sums[i]))));
      finish(tile, i, 4, add(so_far(tile, i, 4), vcvt_high_f32_f16(sums[i])));
    }
  }
}

template <class Product>
inline void multiply_all(const Product& product) {
  for_tiles(product, [](const Tile<Product>& tile) {
    with_constant<kMr>(tile.rows, [&](auto rows) { multiply_tile<rows.value>(tile); });
  });
}

}  // namespace

void EDGEATTN_KERNEL(gemm_half)(const HalfProduct& product) { multiply_all(product); }

void EDGEATTN_KERNEL(gemm_int8)(const Int8Product& product) { multiply_all(product); }

}  // namespace edgeattn
