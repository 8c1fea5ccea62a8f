#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace sampler {

/// Feature maps of square images, [images, side, side, channels]: a view.
struct Maps {
  float* values = nullptr;
  std::size_t images = 0;
  std::size_t side = 0;
  std::size_t channels = 0;

  [[nodiscard]] std::size_t pixels() const noexcept { return side * side; }  ///< of one image
  [[nodiscard]] std::size_t elements() const noexcept { return images * pixels() * channels; }
  [[nodiscard]] float* image(std::size_t index) const noexcept { return values + index * pixels() * channels; }
};

/// The memory of feature maps, each followed by the bytes that XNNPACK may read past it.
class MapMemory {
 public:
  explicit MapMemory(std::size_t images) : images_(images) {}

  /// New maps of zeros.
  Maps make(std::size_t side, std::size_t channels);
  /// Maps of another size on the memory of `maps`, which are not in use at the same time.
  static Maps reuse(const Maps& maps, std::size_t side, std::size_t channels);

  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  std::size_t images_;
  std::size_t bytes_ = 0;
  std::vector<std::unique_ptr<float[]>> pieces_;
};

}  // namespace sampler
