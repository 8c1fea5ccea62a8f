#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "bench_block.h"
#include "text.h"

namespace edgeattn::bench {

/// A feature map that real UNets attend over: `channels` at side × side pixels.
struct ModelShape {
  std::size_t channels;
  std::size_t side;

  [[nodiscard]] std::string name() const { return text("C", channels, "_", side, "x", side); }
  [[nodiscard]] std::size_t tokens() const { return side * side; }
  [[nodiscard]] Spec spec() const { return {.channels = channels}; }
  [[nodiscard]] Shape shape(std::size_t batch = 1) const { return {.batch = batch, .height = side, .width = side}; }
  /// Floating-point operations that the engine needs for one image: 4NC² + 4N²C.
  [[nodiscard]] double flops() const {
    const auto c = static_cast<double>(channels), n = static_cast<double>(tokens());
    return 4 * n * c * c + 4 * n * n * c;
  }
};

inline constexpr ModelShape kModelShapes[] = {{512, 8},  {1024, 8}, {64, 16},  {256, 16}, {512, 16}, {128, 32},
                                              {256, 32}, {448, 32}, {512, 32}, {512, 64}, {512, 128}};

/// One thread, and as many as there are processors.
inline std::vector<std::size_t> thread_counts() {
  if (host().machine.processors == 1) return {1};
  return {1, host().machine.processors};
}

}  // namespace edgeattn::bench
