#pragma once

#include "edgeattn/machine.h"
#include "edgeattn/status.h"
#include "kernels.h"

namespace edgeattn {

KernelSet kernel_set(Isa isa) noexcept;

/// Resolves kAuto to the best that machine and build have; kUnsupported if `wanted` is missing from either.
Status choose_isa(Isa wanted, const Machine& machine, Isa& isa) noexcept;

}  // namespace edgeattn
