#include "gemm/operator.h"

#include <string_view>

#include "gemm/builtin.h"
#include "plan/sizes.h"
#if EDGEATTN_XNNPACK
#include "gemm/xnnpack_operator.h"
#endif

namespace edgeattn {

Status find_gemm(const char* name, [[maybe_unused]] std::size_t operand_offset, const Kernels& kernels, GemmSource& source) noexcept {
  if (builtin::is_name(name)) {
    source = {.kernel = kernels.gemm};
    return {};
  }
#if EDGEATTN_XNNPACK
  if (std::string_view(name) == xnnpack::kName) {
    source = {.operand_offset = operand_offset};
    return {};
  }
#endif
  return Status::error(StatusCode::kMismatch, "the plan was made for the GEMMs of '", name, "', which this build has not");
}

Status create_operator(const OperatorShape& shape, const GemmSource& source, std::span<std::byte> object,
                       [[maybe_unused]] std::span<std::byte> work, Operator& op) noexcept {
#if EDGEATTN_XNNPACK
  if (source.kernel == nullptr) return xnnpack::create_operator(shape, source.operand_offset, object, work, op);
#endif
  return builtin::create_operator(shape, source.kernel, object, op);
}

bool run_operator(const Operator& op, const float* operand, std::size_t rows, const float* input, float* output,
                  const float* rescale) noexcept {
#if EDGEATTN_XNNPACK
  if (op.operand != nullptr) return xnnpack::run_operator(op, operand, rows, input, output);
#endif
  builtin::run_operator(op, operand, rows, input, output, rescale);
  return true;
}

Status check_operand_size(std::size_t inputs, std::size_t outputs, std::size_t most) noexcept {
  if (inputs != 0 && outputs != 0 && sizes::mul(sizes::add(inputs, 17), sizes::add(outputs, 64)) <= most) return {};
  return Status::error(StatusCode::kInvalidArgument, "a GEMM operand of ", inputs, " by ", outputs,
                       " elements is too large: too many channels");
}

}  // namespace edgeattn
