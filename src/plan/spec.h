#pragma once

#include "edgeattn/plan.h"
#include "edgeattn/status.h"

namespace edgeattn {

/// Whether `spec` is one that this library runs: the statuses of `plan`.
Status check_spec(const Spec& spec) noexcept;

/// Channels that share their statistics: C/groups for GroupNorm, 1 for the others.
std::size_t group_channels(const Spec& spec) noexcept;

}  // namespace edgeattn
