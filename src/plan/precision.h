#pragma once

#include "edgeattn/plan.h"
#include "reduced_kernels.h"

namespace edgeattn {

/// What a packed operand is: A and M, or one side of the attention products.
enum class Operand : std::uint8_t { kWeights, kKeys, kValues };

/// Of one element of an operand.
constexpr std::size_t element_bytes(Precision precision, Operand operand) noexcept {
  if (precision == Precision::kFloat32) return sizeof(float);
  return precision == Precision::kInt8 && operand == Operand::kKeys ? 1 : sizeof(Half);
}

/// Whether the processor has what the kernels of `set` are compiled for.
bool supports(const Machine& machine, ReducedSet set) noexcept;

/// The kernels of reduced precision for an instruction set that choose_isa chose. kUnsupported names what processor or build lacks.
Status choose_reduced(Precision precision, Isa isa, const Machine& machine, ReducedSet& set) noexcept;

/// The kernels of one set, with what operands they take.
struct ReducedTable {
  explicit ReducedTable(ReducedSet set) noexcept { reduced_init(kernels, traits, set); }

  ReducedKernels kernels;
  ReducedTraits traits;
};

/// Bytes that row strides of reduced precision are a multiple of: a cache line.
inline constexpr std::size_t kReducedRowUnit = 64;
static_assert(kReducedRowUnit % kRowUnit == 0);

/// The layout of an operand of inputs by outputs: as `gemm` answers, or at reduced precision as the kernels of `set` take it.
/// kInvalidArgument where sums of so many 8-bit products would overflow.
Status operand_layout(Precision precision, ReducedSet set, const Gemm& gemm, Operand operand, std::size_t inputs,
                      std::size_t outputs, PanelLayout& layout) noexcept;

}  // namespace edgeattn
