#pragma once

#include <string>

#include "maps.h"

namespace sampler {

/// Writes images [images, side, side, 1] side by side as a PNG, each pixel eight by eight: -1 is black and 1 is white. To a
/// temporary name beside `path`, which is then renamed. Throws Failure.
void write_sheet(const Maps& images, const std::string& path);

}  // namespace sampler
