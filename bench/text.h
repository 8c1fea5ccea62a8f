#pragma once

#include <sstream>
#include <string>

namespace edgeattn::bench {

/// All parts one after the other.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream stream;
  (stream << ... << parts);
  return stream.str();
}

}  // namespace edgeattn::bench
