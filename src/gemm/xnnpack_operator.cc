#include "gemm/xnnpack_operator.h"

#include <pthread.h>

namespace edgeattn::xnnpack {
namespace {

// XNNPACK's creation functions fill process-wide tables on first use.
pthread_mutex_t creation_mutex = PTHREAD_MUTEX_INITIALIZER;

/// Tells ThreadSanitizer what a product reads, of the operand at least that much, and writes.
void touch([[maybe_unused]] const Operator& op, [[maybe_unused]] const float* operand, [[maybe_unused]] std::size_t rows,
           [[maybe_unused]] const float* input, [[maybe_unused]] float* output) noexcept {
#if EDGEATTN_TSAN
  const OperatorShape& shape = op.shape;
  tsan::reads(operand, (shape.inputs + 1) * shape.outputs * sizeof(float));
  for (std::size_t row = 0; row < rows; ++row) {
    tsan::reads(input + row * shape.input_stride, shape.inputs * sizeof(float));
    tsan::writes(output + row * shape.output_stride, shape.outputs * sizeof(float));
  }
#endif
}

}  // namespace

Status create_serialized(const OperatorShape& shape, const float* kernel, const float* bias, std::span<std::byte> object,
                         std::span<std::byte> packed, Created& created) noexcept {
  pthread_mutex_lock(&creation_mutex);
  const xnn_status status = create(shape, kernel, bias, object, packed, created);
  pthread_mutex_unlock(&creation_mutex);
  if (status == xnn_status_success) return {};
  if (status == xnn_status_invalid_state)
    return Status::error(StatusCode::kGemm,
                         "XNNPACK was initialised by the host before edgeattn, or by another copy of it: call "
                         "edgeattn::gemm_traits, in C edgeattn_initialize, before the host's own xnn_initialize");
  return Status::error(StatusCode::kGemm, "XNNPACK refused a ", shape.inputs, " to ", shape.outputs,
                       " operator with status ", static_cast<std::size_t>(status));
}

Status create_operator(const OperatorShape& shape, std::size_t operand_offset, std::span<std::byte> object,
                       std::span<std::byte> work, Operator& op) noexcept {
  Created created;
  EDGEATTN_TRY(create_serialized(shape, nullptr, nullptr, object, work, created));
  tsan::writes(object.data(), created.bytes);
  tsan::writes(work.data(), created.packed_bytes);
  op.object = created.object;
#if EDGEATTN_TSAN
  op.shape = shape;
#endif
  op.operand = reinterpret_cast<const void**>(object.data() + operand_offset);
  if (operand_offset + sizeof(void*) > created.bytes || *op.operand != work.data())
    return Status::error(StatusCode::kGemm, kName, ": an operator does not keep the address of its operand where "
                         "the probe found it");
  return {};
}

bool run_operator(const Operator& op, const float* operand, std::size_t rows, const float* input,
                  float* output) noexcept {
  touch(op, operand, rows, input, output);
  *op.operand = operand;
  auto* const object = static_cast<xnn_operator_t>(op.object);
  return setup(object, rows, input, output) == xnn_status_success &&
         xnn_run_operator(object, nullptr) == xnn_status_success;
}

}  // namespace edgeattn::xnnpack
