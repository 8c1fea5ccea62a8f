#include "peak_loop.h"

// Compiled once for each instruction set: EDGEATTN_PEAK is the function's name, EDGEATTN_PEAK_BYTES the size of a vector.
namespace edgeattn {
namespace {

typedef float Vector __attribute__((vector_size(EDGEATTN_PEAK_BYTES)));
constexpr size_t kLanes = EDGEATTN_PEAK_BYTES / sizeof(float);

}  // namespace

PeakWork EDGEATTN_PEAK(float factor, float addend, size_t rounds) {
  const Vector factors = factor - Vector{};
  const Vector addends = addend - Vector{};
  Vector accumulators[kPeakAccumulators];
  for (int i = 0; i < kPeakAccumulators; ++i) accumulators[i] = addends * static_cast<float>(i);
  for (size_t round = 0; round < rounds; ++round)
    for (int i = 0; i < kPeakAccumulators; ++i) accumulators[i] = accumulators[i] * factors + addends;

  Vector total{};
  for (int i = 0; i < kPeakAccumulators; ++i) total += accumulators[i];
  float sum = 0;
  for (size_t lane = 0; lane < kLanes; ++lane) sum += total[lane];
  return {2.0 * static_cast<double>(rounds * kPeakAccumulators * kLanes), sum};
}

}  // namespace edgeattn
