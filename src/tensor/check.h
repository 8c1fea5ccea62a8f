#pragma once

#include <cstddef>

#include "edgeattn/tensor.h"

/// What the operations that touch memory demand of their arguments; all errors are kInvalidArgument.
namespace edgeattn {

/// The memory of an argument, by the name that errors give it.
struct Memory {
  const char* name;
  const void* data;
  std::size_t bytes;
};

template <class T>
Memory memory_of(const char* name, const TensorView<T>& tensor) noexcept {
  return {name, tensor.data(), tensor.layout().extent() * sizeof(T)};
}

/// Whether there is memory where elements are.
Status check_memory(const char* operation, const Memory& memory) noexcept;

/// Whether the two share no byte.
Status check_disjoint(const char* operation, const Memory& a, const Memory& b) noexcept;

/// Whether a tensor can be written: with every element in a place of its own, as far as strides tell that grow with the sizes of
/// the dims inside them.
Status check_writable(const char* operation, const TensorLayout& layout) noexcept;

}  // namespace edgeattn
