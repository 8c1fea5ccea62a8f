#pragma once

#include <cstddef>

#include "edgeattn/machine.h"

namespace edgeattn {

/// GFLOP/s of fused multiply-adds alone on `threads` threads, in registers: the roof over every GEMM. Best of many
/// tries of 2 ms each.
///
/// @param isa  must be supported by the processor; what this build lacks becomes the next smaller one. Processors without
///             fused multiply-adds multiply and add
/// Throws std::system_error when threads cannot be started.
double fma_peak_gflops(Isa isa, std::size_t threads);

}  // namespace edgeattn
