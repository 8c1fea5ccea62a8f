#include <cstdint>
#include <limits>
#include <new>

#include "gemm/arena_hook.h"
#include "gemm/xnnpack_adapter.h"

/// The newer API (Debian 13): create, reshape, setup, with a weights cache that answers where the packed operand is. Every
/// operator has a cache of its own, in front of it, which always "finds" the operand that the next product is to use.
namespace edgeattn::xnnpack {
namespace {

struct OperandCache {
  xnn_weights_cache_provider provider;
  void* operand;             ///< what offset_to_addr answers
  std::size_t room_bytes;    ///< what may be packed there; 0: nothing is packed
  std::size_t packed_bytes;  ///< what XNNPACK asked for
};

constexpr std::size_t kCacheBytes = (sizeof(OperandCache) + 63) / 64 * 64;

OperandCache& cache_of(void* context) noexcept { return *static_cast<OperandCache*>(context); }

std::size_t look_up(void* context, const xnn_weights_cache_look_up_key*) {
  return cache_of(context).room_bytes == 0 ? 0 : SIZE_MAX;
}

void* reserve_space(void* context, std::size_t bytes) {
  OperandCache& cache = cache_of(context);
  cache.packed_bytes = bytes;
  return bytes <= cache.room_bytes ? cache.operand : nullptr;
}

std::size_t look_up_or_insert(void*, const xnn_weights_cache_look_up_key*, void*, std::size_t) { return 0; }

bool is_finalized(void*) { return true; }

void* offset_to_addr(void* context, std::size_t) { return cache_of(context).operand; }

xnn_status delete_cache(void*) { return xnn_status_success; }

}  // namespace

const char* const kName = "XNNPACK 2024";
const bool kPacksAtCreation = false;

xnn_status create(const OperatorShape& shape, const float* kernel, const float* bias, std::span<std::byte> object,
                  std::span<std::byte> packed, Created& created) noexcept {
  if (object.size() < kCacheBytes) return xnn_status_out_of_memory;
  auto* const cache = new (object.data()) OperandCache{
      .provider = {.context = object.data(),
                   .look_up = look_up,
                   .reserve_space = reserve_space,
                   .look_up_or_insert = look_up_or_insert,
                   .is_finalized = is_finalized,
                   .offset_to_addr = offset_to_addr,
                   .delete_cache = delete_cache},
      .operand = packed.data(),
      .room_bytes = kernel != nullptr ? packed.size() : 0,
      .packed_bytes = 0};
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  ArenaScope scope(object.subspan(kCacheBytes));
  const xnn_status status = xnn_create_fully_connected_nc_f32(
      shape.inputs, shape.outputs, shape.input_stride, shape.output_stride, kernel, bias, -kInfinity, kInfinity,
      /*flags=*/0, /*code_cache=*/nullptr, &cache->provider, &created.object);
  if (status != xnn_status_success) return status;
  created.bytes = kCacheBytes + scope.object_bytes();
  created.packed_bytes = cache->packed_bytes;
  if (scope.allocations() == 1) return xnn_status_success;
  xnn_delete_operator(created.object);
  return xnn_status_invalid_state;
}

xnn_status setup(xnn_operator_t op, std::size_t rows, const float* input, float* output) noexcept {
  const xnn_status status = xnn_reshape_fully_connected_nc_f32(op, rows, nullptr);
  return status != xnn_status_success ? status : xnn_setup_fully_connected_nc_f32(op, input, output);
}

}  // namespace edgeattn::xnnpack
