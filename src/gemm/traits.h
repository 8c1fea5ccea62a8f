#pragma once

#include "edgeattn/machine.h"

namespace edgeattn {

/// gemm_traits of XNNPACK alone. kUnsupported where the build has none.
Status xnnpack_gemm(const Machine& machine, Gemm& gemm) noexcept;

}  // namespace edgeattn
