#pragma once

namespace edgeattn {

/// What the processor can do and the operating system saves across context switches.
struct CpuFeatures {
  bool avx2 = false;         ///< AVX2, FMA
  bool avx512 = false;       ///< AVX-512 F, BW, DQ, VL
  bool avx512_bf16 = false;
  bool avx512_vnni = false;
  bool avx512_two_fma = false;  ///< Zen 5 with the whole data path
  bool neon = false;         ///< NEON with fused multiply-add
  bool dotprod = false;      ///< aarch64: dot products of 8-bit integers
  bool fp16 = false;         ///< aarch64: arithmetic of half precision
  bool i8mm = false;         ///< aarch64: matrix products of 8-bit integers
  bool bf16 = false;         ///< aarch64: matrix products of bfloat16
};

CpuFeatures detect_features() noexcept;

}  // namespace edgeattn
