#pragma once

#include <cstddef>
#include <cstdint>

#include "edgeattn/status.h"

namespace edgeattn {

/// Instruction sets that kernels are written for. Each includes what the operating system must save for it.
enum class Isa : std::uint8_t {
  kAuto,    ///< the best that the machine has
  kScalar,  ///< portable C++
  kAvx2,    ///< AVX2 + FMA
  kAvx512,  ///< AVX-512 F, BW, DQ, VL
  kNeon,    ///< aarch64, or armv7 with NEON and VFPv4
};

[[nodiscard]] EDGEATTN_API const char* to_string(Isa isa) noexcept;

/// What a plan needs to know of a processor. A plain value: a host may correct what the system tells, and tests fill it in for
/// processors that are not there.
struct EDGEATTN_API Machine {
  bool avx2 = false;
  bool avx512 = false;
  bool neon = false;
  bool avx512_bf16 = false;               ///< products of bfloat16, with avx512
  bool avx512_vnni = false;               ///< dot products of 8-bit integers, with avx512
  bool avx512_two_fma = false;            ///< two 512-bit multiply-adds a cycle, with avx512; detected of Zen 5 alone
  bool dotprod = false;                   ///< aarch64: dot products of 8-bit integers
  bool fp16 = false;                      ///< aarch64: arithmetic of half precision
  bool i8mm = false;                      ///< aarch64: matrix products of 8-bit integers
  bool bf16 = false;                      ///< aarch64: matrix products of bfloat16
  std::size_t processors = 1;             ///< logical processors that affinity and CPU quota allow; 1.5 are 2
  std::size_t l1d_bytes = 32 * 1024;      ///< per core
  std::size_t l2_bytes = 512 * 1024;      ///< one instance
  std::size_t l3_bytes = 0;               ///< one instance; 0 when there is none
  std::size_t l2_sharing_processors = 1;  ///< logical processors that share one L2

  [[nodiscard]] bool has(Isa isa) const noexcept;
  [[nodiscard]] Isa best_isa() const noexcept;

  bool operator==(const Machine&) const noexcept = default;
};

/// Reads the processor that the caller runs on: features from the processor, caches and processor count from the
/// operating system (defaults of `Machine` where it does not tell; then L2 counts as shared by all processors). Never
/// fails; may open files; keeps nothing.
[[nodiscard]] EDGEATTN_API Machine detect_machine() noexcept;

/// Where a packed operand keeps each element: XNNPACK's weights of a fully connected operator, or an operand of reduced precision.
///
/// The operand is cut in panels of `nr` outputs. A panel holds a header, of float32 nr biases, then `depth()` rows of nr values; with
/// kr > 1, kr consecutive inputs of one output stand together; with sr > 1 the inputs of a group of kr·sr are rotated by the
/// output's index. Formula: pack.c of XNNPACK (`xnn_pack_f32_gemm_goi_w`). For elements of 8 and 16 bits see ReducedPanels of
/// arch/reduced_kernels.h.
struct PanelLayout {
  std::size_t inputs = 0;   ///< the product's inner dimension
  std::size_t outputs = 0;  ///< columns of the product
  std::uint32_t nr = 1;
  std::uint32_t kr = 1;  ///< power of two
  std::uint32_t sr = 1;  ///< power of two
  std::uint32_t element_bytes = 4;
  std::uint32_t header_bytes = 4;  ///< of a panel, for each of its columns

  [[nodiscard]] constexpr std::size_t depth() const noexcept {
    const std::size_t group = std::size_t{kr} * sr;
    return (inputs + group - 1) / group * group;
  }
  [[nodiscard]] constexpr std::size_t panels() const noexcept { return (outputs + nr - 1) / nr; }
  [[nodiscard]] constexpr std::size_t panel_stride() const noexcept { return nr * (1 + depth()); }
  [[nodiscard]] constexpr std::size_t panel_bytes() const noexcept { return nr * (header_bytes + depth() * element_bytes); }
  /// Bytes of the whole operand, padding included.
  [[nodiscard]] constexpr std::size_t bytes() const noexcept { return panels() * panel_bytes(); }
  /// Elements of the whole operand, if they are float32.
  [[nodiscard]] constexpr std::size_t size() const noexcept { return panels() * panel_stride(); }
  /// One value a row, in the order of the inputs: what the SIMD kernels write.
  [[nodiscard]] constexpr bool plain() const noexcept { return kr == 1 && sr == 1; }
  /// Bytes to what the header of `output`'s panel holds of it.
  [[nodiscard]] constexpr std::size_t header_offset(std::size_t output) const noexcept {
    return output / nr * panel_bytes() + output % nr * sizeof(float);
  }
  /// Index of the bias of `output`, if elements are float32.
  [[nodiscard]] constexpr std::size_t bias_offset(std::size_t output) const noexcept {
    return output / nr * panel_stride() + output % nr;
  }
  /// Index of element (input, output); `input` < depth(), `output` < panels()·nr.
  [[nodiscard]] constexpr std::size_t offset(std::size_t input, std::size_t output) const noexcept {
    const std::size_t column = output % nr;
    const std::size_t group = std::size_t{kr} * sr;
    const std::size_t rotated = (input % group + group - column * kr % group) % group;
    const std::size_t row = input / group * group + rotated / kr * kr;
    return output / nr * panel_stride() + nr + row * nr + column * kr + input % kr;
  }

  /// The same in bytes, for elements of any size.
  [[nodiscard]] constexpr std::size_t byte_offset(std::size_t input, std::size_t output) const noexcept {
    const std::size_t panel = output / nr, element = offset(input, output) - panel * panel_stride() - nr;
    return panel * panel_bytes() + std::size_t{nr} * header_bytes + element * element_bytes;
  }

  bool operator==(const PanelLayout&) const noexcept = default;
};

/// What plans ask of a GEMM library: filled in by `gemm_traits`, or with other answers by tests.
struct Gemm {
  /// Tells the layout of an operand. XNNPACK's is found by packing an index matrix of that size and explaining where every
  /// element landed.
  Status (*probe)(std::size_t inputs, std::size_t outputs, PanelLayout& layout) noexcept = nullptr;
  std::size_t operator_bytes = 0;   ///< memory of one operator, a multiple of 64
  std::size_t operand_offset = 0;   ///< bytes into an operator of XNNPACK to where it keeps the address of its packed operand
  bool packs_at_creation = false;   ///< creating an operator writes one whole operand, which bind must have room for
  std::size_t mr = 1;               ///< rows that the microkernel computes at once; 1 when unknown
  std::size_t row_unit = 0;         ///< rows of which query tiles are whole multiples; 0 for mr, as a rest costs no less than mr rows
  const char* name = "";            ///< "XNNPACK" and the year of its API, or "edgeattn" for the built-in GEMM
};

/// Which GEMM library to take.
enum class GemmChoice : std::uint8_t {
  kAuto,     ///< XNNPACK, but the built-in one where that is known to be faster, and where XNNPACK cannot be used
  kXnnpack,
  kBuiltin,  ///< kernels of edgeattn's own
};

[[nodiscard]] EDGEATTN_API const char* to_string(GemmChoice choice) noexcept;  ///< "auto", "xnnpack", "builtin"

/// The built-in GEMM, whose kernels are those of a plan's instruction set. Each of its products is one chain of multiply-adds in
/// the order of the inputs. Probes nothing, allocates nothing, and never fails.
EDGEATTN_API Status builtin_gemm(const Machine& machine, Gemm& gemm) noexcept;

/// The GEMM of plans. kAuto takes XNNPACK, but the built-in one on x86 with AVX2 and without AVX-512, with `avx512_two_fma` and
/// XNNPACK of 2022, and where XNNPACK cannot be used. docs/engine.md has the measurements.
///
/// XNNPACK cannot be used where the build has none, the host initialised it before edgeattn could give it its allocator (call
/// gemm_traits before the host's own xnn_initialize), the processor is too old, or the layout of its packed operands is not understood.
///
/// Where it may take XNNPACK, initialises it if nothing has in this process: what it keeps for the life of the process is
/// allocated here. Temporary memory is freed again.
///
/// XNNPACK keeps functions of this library, which is therefore never unloaded, nor is a plugin that it is linked into. Where cpuinfo
/// cannot read /proc and /sys the first time, XNNPACK cannot be used by the process, whatever is mounted later.
///
/// Thread-safe. kOutOfMemory; when the process's first call fails so inside XNNPACK, all later ones do. With kXnnpack, also kGemm
/// when XNNPACK cannot be used, and kUnsupported when the build has none.
EDGEATTN_API Status gemm_traits(const Machine& machine, Gemm& gemm, GemmChoice choice = GemmChoice::kAuto) noexcept;

}  // namespace edgeattn
