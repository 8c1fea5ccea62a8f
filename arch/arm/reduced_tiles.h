#pragma once

#include "../simd/for_lanes.h"
#include "reduced_panels.h"

/// What products of 8-bit and of 16-bit rows share: tiles of kMr rows by the kNr columns of a panel, both named by the
/// including source. Overloads tell the products apart.
namespace edgeattn {
namespace {

/// Bytes of a row that are loaded at once.
constexpr size_t kStep = sizeof(uint8x16_t);
static_assert(kStep == kRowUnit, "rows are read in steps, their padding included");

/// A tile of a product, all of whose columns are in memory.
template <class Product>
struct Tile {
  const Product& product;
  size_t first_row;
  size_t rows;           ///< 1 … kMr
  const uint8_t* panel;
  float* out;            ///< [rows, kNr], row stride `out_stride`
  size_t out_stride;
};
using HalfTile = Tile<HalfProduct>;
using Int8Tile = Tile<Int8Product>;

constexpr size_t header_bytes(const HalfTile&) { return kNr * kHalfHeader; }
constexpr size_t header_bytes(const Int8Tile&) { return kNr * kInt8Header; }

inline size_t depth_bytes(const HalfTile& tile) { return tile.product.inputs * sizeof(Half); }
inline size_t depth_bytes(const Int8Tile& tile) { return tile.product.inputs; }

template <class Product>
inline const uint8_t* row_of(const Tile<Product>& tile, size_t row) {
  return reinterpret_cast<const uint8_t*>(tile.product.input + (tile.first_row + row) * tile.product.input_stride);
}

/// Four columns of a row, as finish() left them.
inline float32x4_t so_far(const HalfTile& tile, size_t row, size_t column) {
  return vld1q_f32(tile.out + row * tile.out_stride + column);
}

/// Four columns of a row, before the first product is added.
inline float32x4_t begin(const HalfTile& tile, size_t row, size_t column) {
  if (tile.product.rescale == nullptr) return vld1q_f32(reinterpret_cast<const float*>(tile.panel) + column);
  const float factor = tile.product.rescale[tile.first_row + row];
  return factor == 0 ? zero() : multiply(so_far(tile, row, column), broadcast(factor));
}
inline int32x4_t begin(const Int8Tile& tile, size_t, size_t column) {
  return vld1q_s32(reinterpret_cast<const int32_t*>(tile.panel + kNr * sizeof(float)) + column);
}

/// Writes four columns of a row, with all products added.
inline void finish(const HalfTile& tile, size_t row, size_t column, float32x4_t sums) {
  vst1q_f32(tile.out + row * tile.out_stride + column, sums);
}
inline void finish(const Int8Tile& tile, size_t row, size_t column, int32x4_t sums) {
  const Vec scales = vld1q_f32(reinterpret_cast<const float*>(tile.panel) + column);
  const Vec factors = multiply(broadcast(tile.product.scales[tile.first_row + row]), scales);
  vst1q_f32(tile.out + row * tile.out_stride + column, multiply(vcvtq_f32_s32(sums), factors));
}

inline void copy_tile(const float* from, size_t from_stride, float* to, size_t to_stride, size_t rows, size_t columns) {
  for (size_t i = 0; i < rows; ++i)
    for (size_t j = 0; j < columns; ++j) to[i * to_stride + j] = from[i * from_stride + j];
}

/// Calls multiply(tile) for every tile of a product. Columns that end within a panel are those of a buffer.
template <class Product, class Multiply>
inline void for_tiles(const Product& product, Multiply multiply) {
  float buffer[kMr * kNr] = {};
  for (size_t row = 0; row < product.rows; row += kMr) {
    Tile<Product> tile = {product, row, smaller_of(product.rows - row, kMr), product.operand.data, nullptr, 0};
    for (size_t first = 0; first < product.outputs; first += kNr, tile.panel += product.operand.panel_bytes) {
      float* const out = product.out + row * product.out_stride + first;
      const size_t columns = smaller_of(product.outputs - first, kNr);
      tile.out = columns < kNr ? buffer : out;
      tile.out_stride = columns < kNr ? kNr : product.out_stride;
      if constexpr (requires { product.rescale; })
        if (columns < kNr && product.rescale != nullptr) copy_tile(out, product.out_stride, buffer, kNr, tile.rows, columns);
      multiply(tile);
      if (columns < kNr) copy_tile(buffer, kNr, out, product.out_stride, tile.rows, columns);
    }
  }
}

/// A number that the compiler knows.
template <size_t kValue>
struct Constant {
  static constexpr size_t value = kValue;
};

/// Calls body(Constant<i>) for every i < kCount.
template <size_t kCount, size_t kFirst = 0, class Body>
[[gnu::always_inline]] inline void for_constants(Body body) {
  if constexpr (kFirst < kCount) {
    body(Constant<kFirst>{});
    for_constants<kCount, kFirst + 1>(body);
  }
}

/// Calls body(Constant<count>) for 1 ≤ count ≤ kMost.
template <size_t kMost, class Body>
[[gnu::always_inline]] inline void with_constant(size_t count, Body body) {
  if constexpr (kMost > 1) {
    if (count < kMost) return with_constant<kMost - 1>(count, body);
  }
  body(Constant<kMost>{});
}

}  // namespace
}  // namespace edgeattn
