#pragma once

#include <string>

#include "cli/heat_map.h"

namespace edgeattn::cli {

/// Throws Failure, which names `path` and says what to install, where the tool was built without libpng.
void require_png(const std::string& path);

/// The bytes of a PNG file. Throws Failure, which names `path`.
std::string encode_png(const IndexedPicture& picture, const std::string& path);

}  // namespace edgeattn::cli
