#pragma once

#include <cstddef>
#include <string_view>

#include "edgeattn/io.h"

namespace edgeattn::io {

/// What there is to know of a tensor's element type.
struct DtypeTraits {
  std::string_view name;
  Dtype dtype;
  std::size_t bits;
  /// Converts `count` elements at any address to float32; null for types that are not read as float32.
  void (*to_float)(const std::byte* elements, std::size_t count, float* values);
  /// Rounds to nearest, ties to even, as IEEE 754 does: what is too large becomes infinite, NaN stays NaN. Elements at any address; null
  /// for types that are not written.
  void (*from_float)(const float* values, std::size_t count, std::byte* elements);

  /// Bytes of so many elements, what is left of the last one cut off; false when that does not fit.
  [[nodiscard]] bool size(std::size_t elements, std::size_t& bytes) const noexcept;
  /// Whether so many elements end where a byte does.
  [[nodiscard]] bool fills_bytes(std::size_t elements) const noexcept;
};

/// Null for names that safetensors does not define.
[[nodiscard]] const DtypeTraits* find_dtype(std::string_view name) noexcept;
/// Null for kOther.
[[nodiscard]] const DtypeTraits* find_dtype(Dtype dtype) noexcept;

}  // namespace edgeattn::io
