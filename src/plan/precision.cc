#include "plan/precision.h"

#include "plan/sizes.h"

namespace edgeattn {
const char* to_string(Precision precision) noexcept {
  switch (precision) {
    case Precision::kFloat32: return "f32";
    case Precision::kBfloat16: return "bf16";
    case Precision::kInt8: return "int8";
  }
  return "?";
}

bool supports(const Machine& machine, ReducedSet set) noexcept {
  switch (set) {
    case ReducedSet::kScalar: return true;
    case ReducedSet::kAvx512: return machine.avx512 && machine.avx512_bf16 && machine.avx512_vnni;
    case ReducedSet::kDotprod: return machine.dotprod && machine.fp16;
    case ReducedSet::kI8mm: return machine.i8mm && machine.bf16;
  }
  return false;
}

Status choose_reduced(Precision precision, Isa isa, const Machine& machine, ReducedSet& set) noexcept {
  set = ReducedSet::kScalar;
  if (precision == Precision::kFloat32 || isa == Isa::kScalar) return {};
  const bool arm = isa == Isa::kNeon;
  if (isa == Isa::kAvx512) set = ReducedSet::kAvx512;
  if (arm) set = supports(machine, ReducedSet::kI8mm) && reduced_built(ReducedSet::kI8mm) ? ReducedSet::kI8mm : ReducedSet::kDotprod;
  if (set == ReducedSet::kScalar || !supports(machine, set))
    return Status::error(StatusCode::kUnsupported, "precision ", to_string(precision), " needs ",
                         arm ? "dot products and fp16 arithmetic, or i8mm and bf16" : "AVX512-BF16 and AVX512-VNNI", ", which ",
                         isa == Isa::kAvx2 ? "avx2 does not include" : "this processor lacks");
  if (!reduced_built(set))
    return Status::error(StatusCode::kUnsupported, "this build has no kernels of precision ", to_string(precision), " for ",
                         to_string(isa));
  return {};
}

Status operand_layout(Precision precision, ReducedSet set, const Gemm& gemm, Operand operand, std::size_t inputs,
                      std::size_t outputs, PanelLayout& layout) noexcept {
  if (precision == Precision::kFloat32) return gemm.probe(inputs, outputs, layout);
  const std::size_t bytes = element_bytes(precision, operand);
  const bool int8 = bytes == 1;
  if (int8 && inputs > kMostInt8Inputs)
    return Status::error(StatusCode::kInvalidArgument, "precision int8 takes at most ", kMostInt8Inputs, " channels a head, got ",
                         inputs);
  const ReducedTraits traits = ReducedTable(set).traits;
  layout = {.inputs = inputs,
            .outputs = outputs,
            .nr = static_cast<std::uint32_t>(traits.nr),
            .kr = static_cast<std::uint32_t>((int8 ? traits.int8_group : traits.half_group) / bytes),
            .element_bytes = static_cast<std::uint32_t>(bytes),
            .header_bytes = static_cast<std::uint32_t>(int8 ? kInt8Header : kHalfHeader)};
  if (sizes::mul(sizes::add(inputs, 16), sizes::add(outputs, 64), sizeof(float)) > PTRDIFF_MAX)
    return Status::error(StatusCode::kInvalidArgument, "a GEMM operand of ", inputs, " by ", outputs,
                         " elements is too large: too many channels");
  return {};
}

}  // namespace edgeattn
