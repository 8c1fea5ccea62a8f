// The vocabulary comes before the kernels that are written in it.
// clang-format off
#include "neon.h"
#include "kernels.h"
#if !defined(__aarch64__)
#include "../simd/single_inputs.h"
#endif

#include "../simd/add_residual.h"
#include "../simd/exp2.h"
#include "../simd/fold.h"
#include "../simd/gemm.h"
#include "../simd/pack.h"
#include "../simd/rows.h"
#include "../simd/softmax.h"
#include "../simd/statistics.h"
#include "../simd/transpose.h"
