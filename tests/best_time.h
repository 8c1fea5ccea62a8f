#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <limits>
#include <vector>

#include "support.h"

namespace edgeattn::test {

/// The best of several repetitions.
template <class Body>
double nanoseconds_each(std::size_t elements, Body body) {
  using Clock = std::chrono::steady_clock;
  double best = std::numeric_limits<double>::infinity();
  for (int repeat = 0; repeat < 200; ++repeat) {
    const auto start = Clock::now();
    body();
    best = std::min(best, std::chrono::duration<double, std::nano>(Clock::now() - start).count());
  }
  return best / static_cast<double>(elements);
}

/// Numbers of deviation 1.
struct Numbers {
  explicit Numbers(std::size_t count) : memory(count * sizeof(float)) {
    std::mt19937_64 engine = random_engine(31);
    const std::vector<float> values = normal_values(engine, count);
    std::copy(values.begin(), values.end(), memory.floats());
  }
  float* data() { return memory.floats(); }

  AlignedBytes memory;
};

}  // namespace edgeattn::test
