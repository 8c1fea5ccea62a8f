#pragma once

#include <cstddef>
#include <cstdint>

/// Sizes that saturate instead of wrapping: a result of kTooLarge means that it does not fit in a size_t.
namespace edgeattn::sizes {

inline constexpr std::size_t kTooLarge = SIZE_MAX;

constexpr std::size_t add(std::size_t a, std::size_t b) noexcept {
  std::size_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? kTooLarge : sum;
}

constexpr std::size_t mul(std::size_t a, std::size_t b) noexcept {
  std::size_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? kTooLarge : product;
}

template <class... Rest>
constexpr std::size_t mul(std::size_t a, std::size_t b, Rest... rest) noexcept {
  return mul(mul(a, b), rest...);
}

constexpr std::size_t divide_up(std::size_t value, std::size_t unit) noexcept {
  return value / unit + (value % unit != 0 ? 1 : 0);
}

constexpr std::size_t round_up(std::size_t value, std::size_t unit) noexcept {
  return mul(divide_up(value, unit), unit);
}

}  // namespace edgeattn::sizes
