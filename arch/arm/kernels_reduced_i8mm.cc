// The vocabulary comes before the kernels that are written in it.
// clang-format off
#include "neon.h"
#include "reduced_traits.h"

#undef EDGEATTN_KERNEL
#define EDGEATTN_KERNEL(op) op##_i8mm

namespace edgeattn {
namespace {

constexpr ReducedTraits kTraits = kI8mmTraits;
constexpr size_t kNr = kTraits.nr, kMr = kTraits.mr;
constexpr size_t kGroup = kTraits.int8_group;
static_assert(kGroup == kTraits.half_group, "both products take the same steps");

/// Rounded to bfloat16.
inline uint16x4_t to_half(Vec v) { return vreinterpret_u16_bf16(vcvt_bf16_f32(v)); }
inline uint16x8_t to_half(Vec low, Vec high) {
  return vreinterpretq_u16_bf16(vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(low), high));
}

}  // namespace
}  // namespace edgeattn

#include "reduced_pack.h"
#include "reduced_rows.h"
#include "reduced_tiles.h"
// clang-format on

namespace edgeattn {
namespace {

// Not by intrinsics, whose sums gcc 12 copies back and forth.

/// sums += [row 0 · column 0, row 0 · column 1, row 1 · column 0, row 1 · column 1].
inline void add_products(int32x4_t& sums, uint8x16_t rows, uint8x16_t columns) {
  asm("smmla %0.4s, %1.16b, %2.16b" : "+w"(sums) : "w"(rows), "w"(columns));
}
inline void add_products(float32x4_t& sums, uint8x16_t rows, uint8x16_t columns) {
  asm("bfmmla %0.4s, %1.8h, %2.8h" : "+w"(sums) : "w"(rows), "w"(columns));
}

template <class Vector>
inline Vector low_halves(Vector a, Vector b) {
  return __builtin_bit_cast(Vector, vzip1q_u64(__builtin_bit_cast(uint64x2_t, a), __builtin_bit_cast(uint64x2_t, b)));
}
template <class Vector>
inline Vector high_halves(Vector a, Vector b) {
  return __builtin_bit_cast(Vector, vzip2q_u64(__builtin_bit_cast(uint64x2_t, a), __builtin_bit_cast(uint64x2_t, b)));
}

/// A step of rows as pairs: of the first group, and of the second.
template <size_t kPairs>
[[gnu::always_inline]] inline void load_pairs(const uint8_t* const (&rows)[2 * kPairs], size_t at, uint8x16_t (&first)[kPairs],
                                              uint8x16_t (&second)[kPairs]) {
  for (size_t p = 0; p < kPairs; ++p) {
    const uint8x16_t upper = vld1q_u8(rows[2 * p] + at), lower = vld1q_u8(rows[2 * p + 1] + at);
    first[p] = low_halves(upper, lower);
    second[p] = high_halves(upper, lower);
  }
}

template <size_t kPairs, class Sums>
[[gnu::always_inline]] inline void add_group(Sums (&sums)[kPairs][kNr / 2], const uint8x16_t (&pairs)[kPairs],
                                             const uint8_t* columns) {
#pragma GCC unroll 8
  for (size_t c = 0; c < kNr / 2; ++c) {
    const uint8x16_t two = vld1q_u8(columns + c * kStep);
#pragma GCC unroll 8
    for (size_t p = 0; p < kPairs; ++p) add_products(sums[p][c], pairs[p], two);
  }
}

/// SMMLA, or BFMMLA, on pairs of rows; an odd last row stands for its neighbour too, whose results go nowhere.
///
/// BFMMLA rounds the sum of two products to odd and so does every addition; it flushes denormals.
template <size_t kPairs, class Product>
[[gnu::noinline]] void multiply_tile(const Tile<Product>& tile) {
  using Sums = decltype(begin(tile, 0, 0));
  const size_t last_row = tile.rows - 1;
  const uint8_t* rows[2 * kPairs];
  for (size_t i = 0; i < 2 * kPairs; ++i) rows[i] = row_of(tile, smaller_of(i, last_row));
  Sums sums[kPairs][kNr / 2];
#pragma GCC unroll 8
  for (size_t p = 0; p < kPairs; ++p) {
#pragma GCC unroll 8
    for (size_t c = 0; c < kNr / 2; c += 2) {
      const Sums upper = begin(tile, 2 * p, 2 * c), lower = begin(tile, smaller_of(2 * p + 1, last_row), 2 * c);
      sums[p][c] = low_halves(upper, lower);
      sums[p][c + 1] = high_halves(upper, lower);
    }
  }

  const uint8_t* columns = tile.panel + header_bytes(tile);
  const size_t bytes = depth_bytes(tile);
  for (size_t at = 0; at < bytes; at += kStep, columns += 2 * kNr * kGroup) {
    uint8x16_t first[kPairs], second[kPairs];
    load_pairs(rows, at, first, second);
    add_group(sums, first, columns);
    if (bytes - at <= kGroup) break;
    add_group(sums, second, columns + kNr * kGroup);
  }

#pragma GCC unroll 8
  for (size_t p = 0; p < kPairs; ++p) {
#pragma GCC unroll 8
    for (size_t c = 0; c < kNr / 2; c += 2) {
      finish(tile, 2 * p, 2 * c, low_halves(sums[p][c], sums[p][c + 1]));
      if (2 * p < last_row) finish(tile, 2 * p + 1, 2 * c, high_halves(sums[p][c], sums[p][c + 1]));
    }
  }
}

template <class Product>
inline void multiply_all(const Product& product) {
  for_tiles(product, [](const Tile<Product>& tile) {
    with_constant<kMr / 2>((tile.rows + 1) / 2, [&](auto pairs) { multiply_tile<pairs.value>(tile); });
  });
}

}  // namespace

void EDGEATTN_KERNEL(gemm_half)(const HalfProduct& product) { multiply_all(product); }

void EDGEATTN_KERNEL(gemm_int8)(const Int8Product& product) { multiply_all(product); }

}  // namespace edgeattn
