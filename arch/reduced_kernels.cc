#include "reduced_kernels.h"

#define EDGEATTN_REDUCED(set)                                                                                            \
  {                                                                                                                      \
    round_rows_##set, quantize_rows_##set, pack_half_columns_##set, pack_int8_columns_##set, pack_rows_##set,            \
        unpack_half_rows_##set, softmax_half_##set, gemm_half_##set, gemm_int8_##set                                     \
  }

namespace edgeattn {

bool reduced_built(ReducedSet set) {
  switch (set) {
    case ReducedSet::kScalar: return true;
#if EDGEATTN_REDUCED_AVX512
    case ReducedSet::kAvx512: return true;
#endif
    default: return false;
  }
}

void reduced_init(ReducedKernels& kernels, ReducedTraits& traits, [[maybe_unused]] ReducedSet set) {
  kernels = EDGEATTN_REDUCED(scalar);
  traits = {.nr = 16, .mr = 1, .half_group = 4, .int8_group = 4, .flip = 0x80, .half_is_fp16 = false};
#if EDGEATTN_REDUCED_AVX512
  if (set == ReducedSet::kAvx512) {
    kernels = EDGEATTN_REDUCED(avx512);
    traits = {.nr = 64, .mr = 6, .half_group = 4, .int8_group = 4, .flip = 0x80, .half_is_fp16 = false};
  }
#endif
}

}  // namespace edgeattn
