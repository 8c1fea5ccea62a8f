#pragma once

#include <cstddef>
#include <string_view>

namespace edgeattn::io {

/// Where the part after the last `separator` begins: 0 where there is none, by a sum that does not wrap.
constexpr std::size_t after_last(std::string_view text, char separator) noexcept {
  const std::size_t last = text.rfind(separator);
  return last == std::string_view::npos ? 0 : last + 1;
}

}  // namespace edgeattn::io
