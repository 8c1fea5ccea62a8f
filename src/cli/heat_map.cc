#include "cli/heat_map.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace edgeattn::cli {
namespace {

constexpr std::size_t kShades = 254;
constexpr std::uint8_t kBackground = 254, kFrame = 255;
constexpr std::size_t kGap = 8;  ///< between maps

/// matplotlib's viridis (CC0) at every tenth: perceptually uniform, also for colour-blind eyes and in print.
constexpr Colour kViridis[] = {{68, 1, 84},    {72, 36, 117},  {65, 68, 135},  {53, 95, 141},  {42, 120, 142}, {33, 145, 140},
                               {34, 168, 132}, {68, 191, 112}, {122, 209, 81}, {189, 223, 38}, {253, 231, 37}};

std::vector<Colour> make_palette() {
  std::vector<Colour> palette(kShades);
  constexpr std::size_t kLast = std::size(kViridis) - 1;
  for (std::size_t shade = 0; shade < kShades; ++shade) {
    const double place = static_cast<double>(shade) * kLast / (kShades - 1);
    const std::size_t below = std::min(static_cast<std::size_t>(place), kLast - 1);
    const double share = place - static_cast<double>(below);
    for (std::size_t k = 0; k < 3; ++k) {
      const double from = kViridis[below][k], to = kViridis[below + 1][k];
      palette[shade][k] = static_cast<std::uint8_t>(std::lround(std::lerp(from, to, share)));
    }
  }
  palette.push_back({255, 255, 255});
  palette.push_back({255, 60, 60});
  return palette;
}

struct Rectangle {
  std::size_t top, left, bottom, right;  ///< the last two excluded
};

void fill(IndexedPicture& picture, const Rectangle& area, std::uint8_t colour) {
  for (std::size_t y = area.top; y < area.bottom; ++y)
    std::fill_n(&picture.pixels[y * picture.width + area.left], area.right - area.left, colour);
}

void draw_map(IndexedPicture& picture, const HeatMaps& maps, std::size_t map, const Rectangle& area, std::size_t scale) {
  const std::span<const double> values = maps.values.subspan(map * maps.height * maps.width, maps.height * maps.width);
  const double largest = *std::max_element(values.begin(), values.end());
  const auto cell = [&](std::size_t row, std::size_t column) {
    const std::size_t top = area.top + row * scale, left = area.left + column * scale;
    return Rectangle{top, left, top + scale, left + scale};
  };
  const auto draw_value = [&](std::size_t row, std::size_t column) {
    const double share = values[row * maps.width + column] / largest;
    fill(picture, cell(row, column), static_cast<std::uint8_t>(std::lround(share * (kShades - 1))));
  };
  for (std::size_t row = 0; row < maps.height; ++row)
    for (std::size_t column = 0; column < maps.width; ++column) draw_value(row, column);

  // Around the pixel, not over it.
  const std::size_t thickness = std::max<std::size_t>(2, scale / 8);
  const Rectangle inner = cell(maps.row, maps.column);
  fill(picture,
       {inner.top - std::min(inner.top - area.top, thickness), inner.left - std::min(inner.left - area.left, thickness),
        std::min(inner.bottom + thickness, area.bottom), std::min(inner.right + thickness, area.right)},
       kFrame);
  draw_value(maps.row, maps.column);
}

}  // namespace

IndexedPicture draw(const HeatMaps& maps) {
  constexpr std::size_t kMapSize = 512, kMostSize = 2048;
  const auto columns = static_cast<std::size_t>(std::ceil(std::sqrt(static_cast<double>(maps.count))));
  const std::size_t rows = (maps.count + columns - 1) / columns;
  const std::size_t scale =
      std::max<std::size_t>(1, std::min(kMapSize, kMostSize / columns) / std::max(maps.height, maps.width));
  const std::size_t height = maps.height * scale, width = maps.width * scale;
  IndexedPicture picture{.width = columns * (width + kGap) - kGap,
                         .height = rows * (height + kGap) - kGap,
                         .palette = make_palette(),
                         .pixels = {}};
  picture.pixels.assign(picture.width * picture.height, kBackground);
  for (std::size_t map = 0; map < maps.count; ++map) {
    const std::size_t top = map / columns * (height + kGap), left = map % columns * (width + kGap);
    draw_map(picture, maps, map, {top, left, top + height, left + width}, scale);
  }
  return picture;
}

}  // namespace edgeattn::cli
