#pragma once

#include <cmath>
#include <cstddef>
#include <string>

#include "kernel_checker.h"
#include "support.h"

/// What the checkers of kernels that work on tiles share.
namespace edgeattn::test {

inline constexpr double kExp2Ulp = 2;  // of exp2_fn's contract

/// Whether `actual` is 2^x as exp2_fn promises.
inline bool is_power(float actual, float x) {
  if (x < -126) return actual == 0;
  return ulp_error(actual, std::exp2(static_cast<double>(x))) <= kExp2Ulp && (x != 0 || actual == 1);
}

/// How far a power may be from the exact one, at most: an ULP is no more than 2⁻²³ of it.
inline double power_bound(float power) { return kExp2Ulp * 0x1p-23 * static_cast<double>(power); }

/// A matrix whose rows are stride apart; what lies between them are canaries.
struct Matrix {
  Matrix(std::size_t row_count, std::size_t column_count, std::size_t gap)
      : rows(row_count), columns(column_count), stride(columns + gap), values((rows - 1) * stride + columns) {}

  float& at(std::size_t i, std::size_t j) { return values[i * stride + j]; }
  void fill_rows(std::mt19937_64& engine, double deviation) {
    std::normal_distribution<double> normal(0, deviation);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j) at(i, j) = static_cast<float>(normal(engine));
  }
  std::string text() const { return std::to_string(rows) + " rows, " + std::to_string(columns) + " columns"; }

  std::size_t rows;
  std::size_t columns;
  std::size_t stride;
  Buffer values;
};

/// Calls body(rows, columns, gap, engine) for tiles of few rows and of any number of columns.
template <class Body>
void for_matrices(std::uint64_t stream, Body body) {
  std::mt19937_64 engine = random_engine(stream);
  for (std::size_t rows : {1u, 2u, 3u, 4u, 5u, 9u}) {
    for (std::size_t columns = 1; columns <= kEveryTail; ++columns) body(rows, columns, columns % 4, engine);
    for (std::size_t columns : kLarger) body(rows, columns, 1, engine);
    body(rows, 515, 1, engine);
  }
}

}  // namespace edgeattn::test
