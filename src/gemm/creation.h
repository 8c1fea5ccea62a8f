#pragma once

#include "edgeattn/status.h"
#include "gemm/xnnpack_adapter.h"

namespace edgeattn {

/// xnnpack::create, one at a time in the process, with its errors as statuses.
Status create_serialized(const OperatorShape& shape, const float* kernel, const float* bias, std::span<std::byte> object,
                         std::span<std::byte> packed, xnnpack::Created& created) noexcept;

}  // namespace edgeattn
