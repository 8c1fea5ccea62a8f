#include "maps.h"

#include <xnnpack.h>

#include <cassert>

namespace sampler {

Maps MapMemory::make(std::size_t side, std::size_t channels) {
  Maps maps{.images = images_, .side = side, .channels = channels};
  const std::size_t elements = maps.elements() + XNN_EXTRA_BYTES / sizeof(float);
  maps.values = pieces_.emplace_back(std::make_unique<float[]>(elements)).get();
  bytes_ += elements * sizeof(float);
  return maps;
}

Maps MapMemory::reuse(const Maps& maps, std::size_t side, std::size_t channels) {
  const Maps reused{.values = maps.values, .images = maps.images, .side = side, .channels = channels};
  assert(reused.elements() <= maps.elements());
  return reused;
}

}  // namespace sampler
