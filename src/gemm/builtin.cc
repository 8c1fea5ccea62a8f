#include "gemm/builtin.h"

#include <algorithm>
#include <cstdint>
#include <new>

#include "plan/isa.h"
#include "plan/sizes.h"

namespace edgeattn {
namespace builtin {
namespace {

/// What an operator's memory holds.
struct Object {
  OperatorShape shape;
  gemm_fn* kernel;
};

constexpr std::size_t kOperatorBytes = 64;
static_assert(sizeof(Object) <= kOperatorBytes);

/// The panels that gemm of kSet is made for.
template <KernelSet kSet>
Status layout_for(std::size_t inputs, std::size_t outputs, PanelLayout& layout) noexcept {
  EDGEATTN_TRY(check_operand_size(inputs, outputs, static_cast<std::size_t>(PTRDIFF_MAX) / (4 * sizeof(float))));
  layout = {.inputs = inputs, .outputs = outputs, .nr = static_cast<std::uint32_t>(gemm_tile(kSet).columns)};
  return {};
}

auto* layout_of(KernelSet set) noexcept {
  switch (set) {
    case KernelSet::kAvx2: return layout_for<KernelSet::kAvx2>;
    case KernelSet::kAvx512: return layout_for<KernelSet::kAvx512>;
    case KernelSet::kNeon: return layout_for<KernelSet::kNeon>;
    case KernelSet::kScalar: break;
  }
  return layout_for<KernelSet::kScalar>;
}

Gemm gemm_of(KernelSet set) noexcept {
  // Any number of rows is cut in equal blocks, of which no row is wasted.
  return {.probe = layout_of(set), .operator_bytes = kOperatorBytes, .mr = gemm_tile(set).rows, .row_unit = 1, .name = kName};
}

}  // namespace

Gemm with_kernels(const Gemm& gemm, KernelSet set) noexcept {
  return is_name(gemm.name) ? gemm_of(set) : gemm;
}

Status create_operator(const OperatorShape& shape, gemm_fn* kernel, std::span<std::byte> object, Operator& op) noexcept {
  if (object.size() < kOperatorBytes)
    return Status::error(StatusCode::kGemm, kName, ": an operator takes ", kOperatorBytes, " bytes, given ", object.size());
  op = {.object = ::new (object.data()) Object{.shape = shape, .kernel = kernel}};
  return {};
}

void run_operator(const Operator& op, const float* operand, std::size_t rows, const float* input, float* output,
                  const float* rescale) noexcept {
  const auto& object = *static_cast<const Object*>(op.object);
  object.kernel({.input = input,
                 .input_stride = object.shape.input_stride,
                 .rows = rows,
                 .inputs = object.shape.inputs,
                 .operand = operand,
                 .nr = object.shape.nr,
                 .outputs = object.shape.outputs,
                 .output = output,
                 .output_stride = object.shape.output_stride,
                 .rescale = rescale});
}

}  // namespace builtin

Status builtin_gemm(const Machine& machine, Gemm& gemm) noexcept {
  Isa best = Isa::kScalar;
  EDGEATTN_TRY(choose_isa(Isa::kAuto, machine, best));
  gemm = builtin::gemm_of(kernel_set(best));
  return {};
}

}  // namespace edgeattn
