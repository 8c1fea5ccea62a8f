#include "tensor/check.h"

#include <algorithm>
#include <cstdint>

namespace edgeattn {

Status check_memory(const char* operation, const Memory& memory) noexcept {
  if (memory.bytes == 0 || memory.data != nullptr) return {};
  return Status::error(StatusCode::kInvalidArgument, operation, ": ", memory.name, " is null");
}

Status check_disjoint(const char* operation, const Memory& a, const Memory& b) noexcept {
  const auto first = reinterpret_cast<std::uintptr_t>(a.data), second = reinterpret_cast<std::uintptr_t>(b.data);
  if (a.bytes == 0 || b.bytes == 0 || first >= second + b.bytes || second >= first + a.bytes) return {};
  return Status::error(StatusCode::kInvalidArgument, operation, ": ", a.name, " and ", b.name, " overlap");
}

Status check_writable(const char* operation, const TensorLayout& layout) noexcept {
  if (layout.elements() == 0) return {};
  for (std::size_t d = 0; d < layout.rank; ++d) {
    if (layout.sizes[d] == 1) continue;
    std::size_t inside = 1;  // the extent of the dims with smaller strides
    for (std::size_t other = 0; other < layout.rank; ++other) {
      const bool smaller = layout.strides[other] < layout.strides[d] || (layout.strides[other] == layout.strides[d] && other > d);
      if (smaller) inside += (layout.sizes[other] - 1) * layout.strides[other];
    }
    if (layout.strides[d] < inside)
      return Status::error(StatusCode::kInvalidArgument, operation, ": out has several elements in one place along dim ", d);
  }
  return {};
}

}  // namespace edgeattn
