#pragma once

#include <charconv>
#include <iterator>
#include <string>

namespace edgeattn::io {

/// The shortest decimal text that reads back as the same number.
template <class Number>
std::string to_text(Number value) {
  char digits[32];
  return {digits, std::to_chars(std::begin(digits), std::end(digits), value).ptr};
}

}  // namespace edgeattn::io
