#pragma once

#include <cstddef>
#include <limits>
#include <span>

namespace edgeattn::io {

/// product ← product·factor; false when that does not fit.
inline bool multiply(std::size_t& product, std::size_t factor) noexcept {
  if (factor != 0 && product > std::numeric_limits<std::size_t>::max() / factor) return false;
  product *= factor;
  return true;
}

/// product ← product · all of `factors`; false when that does not fit.
inline bool multiply(std::size_t& product, std::span<const std::size_t> factors) noexcept {
  for (const std::size_t factor : factors) {
    if (!multiply(product, factor)) return false;
  }
  return true;
}

}  // namespace edgeattn::io
