#pragma once

namespace edgeattn {

/// What the processor can do and the operating system saves across context switches.
struct CpuFeatures {
  bool avx2 = false;    ///< AVX2, FMA
  bool avx512 = false;  ///< AVX-512 F, BW, DQ, VL
  bool neon = false;    ///< NEON with fused multiply-add
  bool avx512_bf16 = false;
  bool avx512_vnni = false;
};

CpuFeatures detect_features() noexcept;

}  // namespace edgeattn
