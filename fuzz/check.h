#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

/// What fuzz targets end with when something does not hold.
namespace edgeattn::fuzz {

inline void require(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what.c_str());
  std::abort();
}

}  // namespace edgeattn::fuzz
