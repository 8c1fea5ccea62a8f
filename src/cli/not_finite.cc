#include "cli/not_finite.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace edgeattn::cli {
namespace {

/// The least magnitude that is infinite in a file: half a place above the largest number.
float least_infinite(io::Dtype dtype) {
  switch (dtype) {
    case io::Dtype::kF16: return 0x1.ffep15f;
    case io::Dtype::kBf16: return 0x1.ffp127f;
    default: return std::numeric_limits<float>::infinity();
  }
}

}  // namespace

NotFinite count_not_finite(std::span<const float> values, const Shape& shape, Layout layout, io::Dtype dtype) {
  const float infinite = least_infinite(dtype);
  const std::size_t tokens = shape.tokens(), channels = values.size() / (shape.batch * tokens);
  NotFinite found;
  std::vector<char> spoilt(tokens);
  for (std::size_t image = 0; image < shape.batch; ++image) {
    const std::span<const float> one = values.subspan(image * channels * tokens, channels * tokens);
    std::ranges::fill(spoilt, 0);
    for (std::size_t i = 0; i < one.size(); ++i)
      if (!(std::fabs(one[i]) < infinite)) spoilt[layout == Layout::kNchw ? i % tokens : i / channels] = 1;
    const auto pixels = static_cast<std::size_t>(std::ranges::count(spoilt, 1));
    found.pixels += pixels;
    found.images += pixels > 0 ? 1 : 0;
  }
  return found;
}

std::string describe(const NotFinite& found, const Shape& shape) {
  return std::to_string(found.pixels) + " of " + std::to_string(shape.batch * shape.tokens()) + " pixels, in " +
         std::to_string(found.images) + " of " + std::to_string(shape.batch) + (shape.batch == 1 ? " image" : " images") +
         ", are not finite";
}

}  // namespace edgeattn::cli
