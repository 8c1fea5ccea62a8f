#pragma once

#include <stddef.h>

namespace edgeattn {

/// `rounds` times kPeakAccumulators independent multiply-adds of one vector each, in registers.
///
/// @return flops  of the whole call
/// @return sum    of all accumulators, so that none can be left out
struct PeakWork {
  double flops;
  float sum;
};
using peak_fn = PeakWork(float factor, float addend, size_t rounds);

/// More than latency times throughput of any core (8 to 10), and few enough for 16 registers.
inline constexpr int kPeakAccumulators = 12;

peak_fn peak_scalar;
peak_fn peak_avx2;
peak_fn peak_avx512;
peak_fn peak_neon;

}  // namespace edgeattn
