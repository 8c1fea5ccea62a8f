#include "plan/precision.h"

#include "plan/sizes.h"

namespace edgeattn {
namespace {

Status lacks(Precision precision, const char* where, const char* what) noexcept {
  return Status::error(StatusCode::kUnsupported, "precision ", to_string(precision), ": ", where, " has no ", what);
}

/// What of the instructions that `isa` does not include this processor lacks; null if nothing.
const char* missing(Isa isa, const Machine& machine) noexcept {
  if (isa != Isa::kAvx512) return nullptr;
  if (!machine.avx512_bf16) return "AVX512-BF16";
  if (!machine.avx512_vnni) return "AVX512-VNNI";
  return nullptr;
}

}  // namespace

const char* to_string(Precision precision) noexcept {
  switch (precision) {
    case Precision::kFloat32: return "f32";
    case Precision::kBfloat16: return "bf16";
    case Precision::kInt8: return "int8";
  }
  return "?";
}

Status choose_reduced(Precision precision, Isa isa, const Machine& machine, ReducedSet& set) noexcept {
  set = ReducedSet::kScalar;
  if (precision == Precision::kFloat32 || isa == Isa::kScalar) return {};
  if (isa == Isa::kAvx2) return lacks(precision, "avx2", "products of reduced precision: AVX512-BF16 and AVX512-VNNI are required");
  if (const char* what = missing(isa, machine); what != nullptr) return lacks(precision, "this processor", what);
  set = ReducedSet::kAvx512;
  if (!reduced_built(set)) return lacks(precision, "this build", "kernels of reduced precision for it");
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
            .header_bytes = int8 ? 8u : 4u};
  if (sizes::mul(sizes::add(inputs, 16), sizes::add(outputs, 64), sizeof(float)) > PTRDIFF_MAX)
    return Status::error(StatusCode::kInvalidArgument, "a GEMM operand of ", inputs, " by ", outputs,
                         " elements is too large: too many channels");
  return {};
}

}  // namespace edgeattn
