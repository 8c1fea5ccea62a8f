#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "edgeattn/io.h"
#include "edgeattn/plan.h"

namespace edgeattn::cli {

/// Where a feature map is not finite.
struct NotFinite {
  std::size_t pixels = 0;
  std::size_t images = 0;
};

/// Counts pixels and images with a value that is NaN or infinite, or becomes infinite in a file of `dtype`.
///
/// @param values  [B, C, H, W] or [B, H, W, C] of `shape`, as `layout` says
NotFinite count_not_finite(std::span<const float> values, const Shape& shape, Layout layout, io::Dtype dtype);

/// "64 of 128 pixels, in 1 of 2 images, are not finite".
std::string describe(const NotFinite& found, const Shape& shape);

}  // namespace edgeattn::cli
