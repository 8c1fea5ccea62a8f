#include <limits>

#include "gemm/arena_hook.h"
#include "gemm/xnnpack_adapter.h"

/// The API of 2022 (Debian 12). An operator of that time packs its operand at creation, into memory that the arena hook
/// chooses, and keeps a pointer to it: another address written there makes it multiply with another operand.
namespace edgeattn::xnnpack {

const char* const kName = "XNNPACK 2022";
const bool kPacksAtCreation = true;

xnn_status create(const OperatorShape& shape, const float* kernel, const float* bias, std::span<std::byte> object,
                  std::span<std::byte> packed, Created& created) noexcept {
  // Packing zeroes its destination first, so as its own source it is a matrix of zeros.
  const float* const source = kernel != nullptr ? kernel : reinterpret_cast<const float*>(packed.data());
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  ArenaScope scope(object, packed);
  const xnn_status status =
      xnn_create_fully_connected_nc_f32(shape.inputs, shape.outputs, shape.input_stride, shape.output_stride, source,
                                        bias, -kInfinity, kInfinity, /*flags=*/0, &created.object);
  if (status != xnn_status_success) return status;
  created.bytes = scope.object_bytes();
  created.packed_bytes = scope.packed_bytes();
  if (scope.allocations() == 2) return xnn_status_success;
  xnn_delete_operator(created.object);
  return xnn_status_invalid_state;
}

xnn_status setup(xnn_operator_t op, std::size_t rows, const float* input, float* output) noexcept {
  return xnn_setup_fully_connected_nc_f32(op, rows, input, output, nullptr);
}

}  // namespace edgeattn::xnnpack
