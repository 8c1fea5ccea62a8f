#pragma once

#include <cstddef>

#include "edgeattn/tensor_layout.h"

namespace edgeattn {

/// A tensor and another one of the same sizes, cut into planes of two dims.
class Planes {
 public:
  /// Elements from the first of each tensor.
  struct Place {
    std::size_t from = 0;
    std::size_t to = 0;
  };

  /// @param first, second  the dims of a plane; the same one, or kMostDims, for planes of fewer dims
  Planes(const TensorLayout& from, const TensorLayout& to, std::size_t first, std::size_t second) noexcept
      : from_(from), to_(to), first_(first), second_(second) {
    for (std::size_t d = 0; d < from.rank; ++d)
      if (!inside(d)) count_ *= from.sizes[d];
  }

  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  /// Where plane `index` starts.
  [[nodiscard]] Place place(std::size_t index) const noexcept {
    Place place;
    for (std::size_t d = from_.rank; d-- > 0;) {
      if (inside(d)) continue;
      place.from += index % from_.sizes[d] * from_.strides[d];
      place.to += index % from_.sizes[d] * to_.strides[d];
      index /= from_.sizes[d];
    }
    return place;
  }

 private:
  [[nodiscard]] bool inside(std::size_t d) const noexcept { return d == first_ || d == second_; }

  const TensorLayout& from_;
  const TensorLayout& to_;
  std::size_t first_;
  std::size_t second_;
  std::size_t count_ = 1;
};

/// The dim of `layout`, other than `dim`, of more than one element and the smallest stride; `dim` when there is none.
inline std::size_t nearest_dim(const TensorLayout& layout, std::size_t dim) noexcept {
  std::size_t nearest = dim;
  for (std::size_t d = 0; d < layout.rank; ++d)
    if (d != dim && layout.sizes[d] > 1 && (nearest == dim || layout.strides[d] < layout.strides[nearest])) nearest = d;
  return nearest;
}

}  // namespace edgeattn
