#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace edgeattn::cli {

using Colour = std::array<std::uint8_t, 3>;  ///< red, green, blue

/// A picture of at most 256 colours.
struct IndexedPicture {
  std::size_t width = 0;
  std::size_t height = 0;
  std::vector<Colour> palette;
  std::vector<std::uint8_t> pixels;  ///< [height, width], indices into the palette
};

/// Maps of one size to draw, and the pixel to frame in each of them.
struct HeatMaps {
  std::span<const double> values;  ///< [count, height, width], ≥ 0
  std::size_t count, height, width;
  std::size_t row, column;
};

/// Draws maps in rows and columns, as near to a square as goes. A value becomes a square of one colour of viridis, from 0 to the
/// largest of its own map. A map is some 512 pixels large, less where the whole would have more than 2048, and never less than a
/// pixel a value.
IndexedPicture draw(const HeatMaps& maps);

}  // namespace edgeattn::cli
