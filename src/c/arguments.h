#pragma once

#include "edgeattn/block.h"
#include "edgeattn/edgeattn.h"
#include "edgeattn/plan.h"

namespace edgeattn::c {

// Structs of C callers as those of C++, with the usual values for zeros. Errors name the argument and the field.
Status read_spec(const edgeattn_spec* given, Spec& spec) noexcept;
Status read_shape(const edgeattn_shape* given, Shape& shape) noexcept;
/// @param given  may be null
/// @param machine  takes the given second-level cache
Status read_options(const edgeattn_options* given, PlanOptions& options, Machine& machine, GemmChoice& gemm) noexcept;
Status read_weights(const edgeattn_weights* given, Weights& weights, pthreadpool_t& pool) noexcept;

}  // namespace edgeattn::c
