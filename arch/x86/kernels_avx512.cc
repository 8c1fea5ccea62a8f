// The vocabulary comes before the kernels that are written in it.
// clang-format off
#include "avx512.h"
#include "kernels.h"
#include "../simd/single_inputs.h"

#include "../simd/add_residual.h"
#include "../simd/exp2.h"
#include "../simd/fold.h"
#include "../simd/gemm.h"
#include "../simd/pack.h"
#include "../simd/rows.h"
#include "../simd/softmax.h"
#include "../simd/statistics.h"
#include "../simd/transpose.h"
