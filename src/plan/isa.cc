#include "plan/isa.h"

#include <initializer_list>

namespace edgeattn {

KernelSet kernel_set(Isa isa) noexcept {
  switch (isa) {
    case Isa::kAvx2: return KernelSet::kAvx2;
    case Isa::kAvx512: return KernelSet::kAvx512;
    case Isa::kNeon: return KernelSet::kNeon;
    case Isa::kAuto:
    case Isa::kScalar: break;
  }
  return KernelSet::kScalar;
}

Status choose_isa(Isa wanted, const Machine& machine, Isa& isa) noexcept {
  if (wanted == Isa::kAuto) {
    isa = Isa::kScalar;
    for (Isa candidate : {Isa::kNeon, Isa::kAvx2, Isa::kAvx512})
      if (machine.has(candidate) && kernels_built(kernel_set(candidate))) isa = candidate;
    return {};
  }
  if (!machine.has(wanted))
    return Status::error(StatusCode::kUnsupported, "this processor has no ", to_string(wanted));
  if (!kernels_built(kernel_set(wanted)))
    return Status::error(StatusCode::kUnsupported, "this build has no ", to_string(wanted), " kernels");
  isa = wanted;
  return {};
}

}  // namespace edgeattn
