#include "gemm/traits.h"

namespace edgeattn {

const char* to_string(GemmChoice choice) noexcept {
  switch (choice) {
    case GemmChoice::kAuto: return "auto";
    case GemmChoice::kXnnpack: return "xnnpack";
    case GemmChoice::kBuiltin: return "builtin";
  }
  return "?";
}

#if !EDGEATTN_XNNPACK
Status xnnpack_gemm(const Machine&, Gemm&) noexcept {
  return Status::error(StatusCode::kUnsupported, "this build of edgeattn has no XNNPACK");
}
#endif

Status gemm_traits(const Machine& machine, Gemm& gemm, GemmChoice choice) noexcept {
  if (choice == GemmChoice::kBuiltin) return builtin_gemm(machine, gemm);
  const Status status = xnnpack_gemm(machine, gemm);
  const bool final = choice == GemmChoice::kXnnpack || status.ok() || status.code() == StatusCode::kOutOfMemory;
  return final ? status : builtin_gemm(machine, gemm);
}

}  // namespace edgeattn
