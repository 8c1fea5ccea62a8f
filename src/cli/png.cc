#include "cli/png.h"

#if EDGEATTN_PNG
#include <png.h>
#endif

#include <algorithm>

#include "cli/failure.h"

namespace edgeattn::cli {

#if EDGEATTN_PNG

void require_png(const std::string&) {}

std::string encode_png(const IndexedPicture& picture, const std::string& path) {
  // What is too large for the type is too large for libpng too, which says so.
  const auto size = [](std::size_t value) { return static_cast<png_uint_32>(std::min<std::size_t>(value, PNG_UINT_31_MAX)); };
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = size(picture.width);
  image.height = size(picture.height);
  image.format = PNG_FORMAT_RGB_COLORMAP;
  image.colormap_entries = static_cast<png_uint_32>(picture.palette.size());
  std::string bytes;
  const auto write = [&](void* memory) {
    png_alloc_size_t count = bytes.size();
    if (png_image_write_to_memory(&image, memory, &count, 0, picture.pixels.data(), 0, picture.palette.data()) == 0)
      throw Failure(path + ": no PNG of " + std::to_string(picture.width) + " x " + std::to_string(picture.height) +
                    " pixels: " + image.message);
    bytes.resize(count);
  };
  write(nullptr);  // asks for the size
  write(bytes.data());
  return bytes;
}

#else

void require_png(const std::string& path) {
  throw Failure(path + ": this edgeattn was built without PNG: install libpng-dev and build again, or give an --output that " +
                "does not end in .png for the weights as safetensors");
}

std::string encode_png(const IndexedPicture&, const std::string& path) {
  require_png(path);
  return {};
}

#endif

}  // namespace edgeattn::cli
