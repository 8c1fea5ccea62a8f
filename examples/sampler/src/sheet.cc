#include "sheet.h"

#include <png.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "edgeattn/io.h"
#include "failure.h"

namespace sampler {
namespace {

constexpr std::size_t kEnlarged = 8;

png_byte gray(float value) {
  return static_cast<png_byte>(std::lround((std::clamp(value, -1.0f, 1.0f) + 1) * 127.5f));
}

}  // namespace

void write_sheet(const Maps& images, const std::string& path) {
  const std::size_t width = images.images * images.side * kEnlarged, height = images.side * kEnlarged;
  std::vector<png_byte> pixels(width * height);
  for (std::size_t h = 0; h < height; ++h)
    for (std::size_t w = 0; w < width; ++w) {
      const std::size_t column = w / kEnlarged, image = column / images.side;
      pixels[h * width + w] = gray(images.image(image)[h / kEnlarged * images.side + column % images.side]);
    }

  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(width);
  png.height = static_cast<png_uint_32>(height);
  png.format = PNG_FORMAT_GRAY;
  std::string file(PNG_IMAGE_PNG_SIZE_MAX(png), '\0');
  png_alloc_size_t bytes = file.size();
  if (png_image_write_to_memory(&png, file.data(), &bytes, /*convert_to_8_bit=*/0, pixels.data(), /*row_stride=*/0,
                                /*colormap=*/nullptr) == 0)
    throw Failure(path + ": libpng: " + png.message);
  check(edgeattn::io::write_text(path, std::string_view(file).substr(0, bytes)));
}

}  // namespace sampler
