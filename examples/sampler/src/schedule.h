#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace sampler {

/// How much noise the training added at each of its 200 levels, and how sampling takes it away.
class Schedule {
 public:
  static constexpr std::size_t kSteps = 200;

  Schedule() noexcept;

  /// Takes images from noise level t to t - 1: x = (x - β/√(1 - ᾱ)·predicted)/√α + √β·noise.
  ///
  /// @param x          read and written
  /// @param predicted  the size of x: the noise in x
  /// @param noise      the size of x: fresh noise; not read at level 0
  void step(std::size_t t, std::span<float> x, const float* predicted, const float* noise) const noexcept;

 private:
  struct Level {
    float predicted, root_alpha, noise;  // β/√(1 - ᾱ), √α, √β
  };
  std::array<Level, kSteps> levels_;
};

}  // namespace sampler
