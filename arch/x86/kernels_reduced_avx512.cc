// The vocabulary comes before the kernels that are written in it.
// clang-format off
#include "avx512.h"
#include "reduced_avx512.h"
#include "reduced_kernels.h"

#include "../simd/reduced_rows.h"
#include "../simd/softmax_half.h"
#include "reduced_gemm.h"
#include "reduced_pack.h"
