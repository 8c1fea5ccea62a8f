#pragma once

#include <cstddef>
#include <vector>

#include "edgeattn/tensor.h"

namespace edgeattn::test {

using Sizes = std::vector<std::size_t>;

template <class T>
Sizes sizes_of(const TensorView<T>& tensor) {
  return {tensor.layout().sizes, tensor.layout().sizes + tensor.rank()};
}

/// Calls body(place) for every element in the order of indices; `place` counts from the tensor's first element.
template <class Body>
void for_each_place(const TensorLayout& layout, Body body) {
  const std::size_t count = layout.elements();
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t place = 0, rest = i;
    for (std::size_t d = layout.rank; d-- > 0; rest /= layout.sizes[d]) place += rest % layout.sizes[d] * layout.strides[d];
    body(place);
  }
}

/// The elements in the order of their indices.
template <class T>
std::vector<std::remove_const_t<T>> elements_of(const TensorView<T>& tensor) {
  std::vector<std::remove_const_t<T>> elements;
  for_each_place(tensor.layout(), [&](std::size_t place) { elements.push_back(tensor.data()[place]); });
  return elements;
}

}  // namespace edgeattn::test
