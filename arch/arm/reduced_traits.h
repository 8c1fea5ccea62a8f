#pragma once

#include "reduced_kernels.h"

/// What operands the sets of aarch64 take. SDOT and SMMLA multiply signed bytes, so rows are not flipped.
namespace edgeattn {

/// Accumulators of 8 rows and 8 columns: 16 vectors of int32, or as many of float32 and 8 of fp16.
inline constexpr ReducedTraits kDotprodTraits = {
    .nr = 8, .mr = 8, .half_group = 2, .int8_group = 4, .flip = 0, .half_is_fp16 = true};

/// Accumulators of 4 rows and 16 columns, two by two: 16 vectors. The wider the tile, the fewer instructions put rows together in
/// pairs: here one for every eight that multiply, where 8 by 8 would need two.
inline constexpr ReducedTraits kI8mmTraits = {
    .nr = 16, .mr = 4, .half_group = 8, .int8_group = 8, .flip = 0, .half_is_fp16 = false};

}  // namespace edgeattn
