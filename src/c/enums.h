#pragma once

#include <cstddef>
#include <cstdint>

#include "edgeattn/edgeattn.h"
#include "edgeattn/plan.h"
#include "edgeattn/status.h"

namespace edgeattn::c {

static_assert(EDGEATTN_NORM_GROUP == static_cast<int>(Norm::kGroup) &&
              EDGEATTN_NORM_INSTANCE == static_cast<int>(Norm::kInstance) &&
              EDGEATTN_NORM_BATCH == static_cast<int>(Norm::kBatch) && EDGEATTN_NORM_NONE == static_cast<int>(Norm::kNone));
static_assert(EDGEATTN_NCHW == static_cast<int>(Layout::kNchw) && EDGEATTN_NHWC == static_cast<int>(Layout::kNhwc));
static_assert(EDGEATTN_ISA_AUTO == static_cast<int>(Isa::kAuto) && EDGEATTN_ISA_SCALAR == static_cast<int>(Isa::kScalar) &&
              EDGEATTN_ISA_AVX2 == static_cast<int>(Isa::kAvx2) && EDGEATTN_ISA_AVX512 == static_cast<int>(Isa::kAvx512) &&
              EDGEATTN_ISA_NEON == static_cast<int>(Isa::kNeon));
static_assert(EDGEATTN_FLOAT32 == static_cast<int>(Precision::kFloat32) &&
              EDGEATTN_BFLOAT16 == static_cast<int>(Precision::kBfloat16) && EDGEATTN_INT8 == static_cast<int>(Precision::kInt8));

static_assert(EDGEATTN_GEMM_AUTO == static_cast<int>(GemmChoice::kAuto) &&
              EDGEATTN_GEMM_XNNPACK == static_cast<int>(GemmChoice::kXnnpack) &&
              EDGEATTN_GEMM_BUILTIN == static_cast<int>(GemmChoice::kBuiltin));

/// Enumerators count from 0 to `last`.
template <class Enum>
Status read_enum(const char* name, std::int32_t given, Enum last, Enum& value) noexcept {
  if (given < 0 || given > static_cast<std::int32_t>(last)) {
    const std::size_t magnitude = given < 0 ? 0u - static_cast<std::uint32_t>(given) : static_cast<std::uint32_t>(given);
    return Status::error(StatusCode::kInvalidArgument, name, " must be from 0 to ", static_cast<std::size_t>(last), ", got ",
                         given < 0 ? "-" : "", magnitude);
  }
  value = static_cast<Enum>(given);
  return {};
}

}  // namespace edgeattn::c
