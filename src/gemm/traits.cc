#include "gemm/traits.h"

#include "float_scope.h"

namespace edgeattn {

const char* to_string(GemmChoice choice) noexcept {
  switch (choice) {
    case GemmChoice::kAuto: return "auto";
    case GemmChoice::kXnnpack: return "xnnpack";
    case GemmChoice::kBuiltin: return "builtin";
  }
  return "?";
}

namespace {

/// Whether the built-in GEMM is faster than XNNPACK of any release: with AVX2, XNNPACK's 5×16 microkernel, as Debian compiles it, loads
/// and stores one of its ten sums in every step.
bool spills_sums(const Machine& machine) noexcept { return machine.avx2 && !machine.avx512; }

/// Tells whether XNNPACK's microkernel keeps two units of 512 bits waiting: where a multiply-add takes four cycles, eight vectors
/// of sums have to be under way, and that of 2022 has seven rows of one (docs/engine.md has the measurements).
Status has_too_few_sums(const Machine& machine, const Gemm& xnnpack, bool& answer) noexcept {
  constexpr std::size_t kUnits = 2, kCycles = 4, kLanes = 16;
  answer = false;
  if (!machine.avx512 || !machine.avx512_two_fma || xnnpack.mr == 1) return {};
  PanelLayout layout;
  EDGEATTN_TRY(xnnpack.probe(kLanes, 4 * kLanes, layout));
  answer = xnnpack.mr * layout.nr < kUnits * kCycles * kLanes;
  return {};
}

}  // namespace

#if !EDGEATTN_XNNPACK
Status xnnpack_gemm(const Machine&, Gemm&) noexcept {
  return Status::error(StatusCode::kUnsupported, "this build of edgeattn has no XNNPACK");
}
#endif

Status gemm_traits(const Machine& machine, Gemm& gemm, GemmChoice choice) noexcept {
  const FloatScope scope(Denormals::kKept);
  if (choice == GemmChoice::kXnnpack) return xnnpack_gemm(machine, gemm);
  if (choice == GemmChoice::kBuiltin || spills_sums(machine)) return builtin_gemm(machine, gemm);
  Gemm xnnpack;
  bool slower = false;
  Status status = xnnpack_gemm(machine, xnnpack);
  if (status.ok()) status = has_too_few_sums(machine, xnnpack, slower);
  if (status.code() == StatusCode::kOutOfMemory) return status;
  if (!status.ok() || slower) return builtin_gemm(machine, gemm);
  gemm = xnnpack;
  return {};
}

}  // namespace edgeattn
