#include "kernels.h"

#define EDGEATTN_KERNELS(isa)                                                                     \
  {                                                                                               \
    statistics_##isa, pack_##isa, unpack_rows_##isa, exp2_##isa, softmax_##isa, accumulate_##isa, \
        normalize_rows_##isa, poison_rows_##isa, add_residual_##isa, fold_##isa, transpose_##isa, \
        gemm_##isa                                                                                \
  }

namespace edgeattn {

bool kernels_built(KernelSet set) {
  switch (set) {
    case KernelSet::kScalar: return true;
#if EDGEATTN_AVX2
    case KernelSet::kAvx2: return true;
#endif
#if EDGEATTN_AVX512
    case KernelSet::kAvx512: return true;
#endif
#if EDGEATTN_NEON
    case KernelSet::kNeon: return true;
#endif
    default: return false;
  }
}

void kernels_init(Kernels& kernels, [[maybe_unused]] KernelSet set) {
  kernels = EDGEATTN_KERNELS(scalar);
#if EDGEATTN_AVX2
  if (set == KernelSet::kAvx2 || set == KernelSet::kAvx512) kernels = EDGEATTN_KERNELS(avx2);
#endif
#if EDGEATTN_AVX512
  if (set == KernelSet::kAvx512) kernels = EDGEATTN_KERNELS(avx512);
#endif
#if EDGEATTN_NEON
  if (set == KernelSet::kNeon) kernels = EDGEATTN_KERNELS(neon);
#endif
}

GemmTile gemm_tile([[maybe_unused]] KernelSet set) {
#if EDGEATTN_AVX2
  if (set == KernelSet::kAvx2) return gemm_tile_avx2;
#endif
#if EDGEATTN_AVX512
  if (set == KernelSet::kAvx512) return gemm_tile_avx512;
#endif
#if EDGEATTN_NEON
  if (set == KernelSet::kNeon) return gemm_tile_neon;
#endif
  return gemm_tile_scalar;
}

}  // namespace edgeattn
