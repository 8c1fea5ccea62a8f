#pragma once

#include <cstddef>

#include "kernels.h"

namespace edgeattn {

/// GFLOP/s of fused multiply-adds alone on `threads` threads, in registers: the roof over every GEMM. Best of many
/// tries of 2 ms each.
///
/// @param set  must be supported by the processor; what this build lacks becomes the next smaller set. Processors without
///             fused multiply-adds multiply and add
/// Throws std::system_error when threads cannot be started.
double fma_peak_gflops(KernelSet set, std::size_t threads);

}  // namespace edgeattn
