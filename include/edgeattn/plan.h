#pragma once

#include <cstddef>
#include <cstdint>

#include "edgeattn/machine.h"
#include "edgeattn/status.h"

namespace edgeattn {

enum class Norm : std::uint8_t {
  kGroup,     ///< GroupNorm: statistics per image and group, weight and bias per channel
  kInstance,  ///< InstanceNorm2d(affine): GroupNorm with one channel a group
  kBatch,     ///< BatchNorm2d in eval mode: running mean and variance per channel
  kNone,      ///< identity
};

enum class Layout : std::uint8_t {
  kNchw,  ///< [B, C, H, W]
  kNhwc,  ///< [B, H, W, C]
};

[[nodiscard]] EDGEATTN_API const char* to_string(Norm norm) noexcept;      ///< "gn", "in", "bn", "none"
[[nodiscard]] EDGEATTN_API const char* to_string(Layout layout) noexcept;  ///< "nchw", "nhwc"

/// What the products work with. Statistics, softmax and sums are in float32 or float64 at any precision.
enum class Precision : std::uint8_t {
  kFloat32,
  kBfloat16,  ///< 16-bit floats: bfloat16, or IEEE half on ARM without it
  kInt8,      ///< scores of 8-bit integers, all other products as kBfloat16
};

[[nodiscard]] EDGEATTN_API const char* to_string(Precision precision) noexcept;  ///< "f32", "bf16", "int8"

/// What the block computes: y = (x + to_out(softmax(q kᵀ · scale) v)) / rescale_output, q, k, v = split(to_qkv(norm(x))).
struct Spec {
  std::size_t channels = 0;  ///< C ≥ 1
  Norm norm = Norm::kGroup;
  std::size_t groups = 32;   ///< divides C; read for kGroup only
  double eps = 1e-5;         ///< > 0; not read for kNone
  std::size_t heads = 1;     ///< divides C; one is folded into two projections instead of four
  double scale = 0;          ///< of the scores; 0 means 1/√(C/heads)
  bool residual = true;      ///< false leaves out the `x +`
  double rescale_output = 1; ///< from 1e-30 to 1e30: diffusers' rescale_output_factor

  [[nodiscard]] constexpr std::size_t head_channels() const noexcept { return channels / heads; }  ///< d
  bool operator==(const Spec&) const noexcept = default;
};

struct Shape {
  std::size_t batch = 1;
  std::size_t height = 1;
  std::size_t width = 1;

  [[nodiscard]] constexpr std::size_t tokens() const noexcept { return height * width; }
  bool operator==(const Shape&) const noexcept = default;
};

struct PlanOptions {
  Layout layout = Layout::kNchw;
  std::size_t threads = 1;               ///< slots; at most this many threads of the pool work at once
  Isa isa = Isa::kAuto;                  ///< of all kernels; XNNPACK's products choose their own
  Precision precision = Precision::kFloat32;
  std::size_t scratch_budget_bytes = 0;  ///< most that scratch may take; 0 for no limit
  std::size_t query_tile = 0;            ///< forces Bq; 0 lets the plan choose
  std::size_t key_block = 0;             ///< forces Bk (rounded to whole panels); 0 lets the plan choose
};

/// Steps of a run in their order; the life of a memory region is a range of them.
enum class Phase : std::uint8_t {
  kBind,
  kStatistics,
  kPack,
  kProject,
  kScores,
  kSoftmax,
  kMix,
  kOut,
  kTranspose,
};
inline constexpr std::size_t kPhases = 9;

[[nodiscard]] EDGEATTN_API const char* to_string(Phase phase) noexcept;  ///< "bind", "statistics", …

enum class Space : std::uint8_t { kPrepared, kPersistent, kScratch };

[[nodiscard]] EDGEATTN_API const char* to_string(Space space) noexcept;

/// One named piece of memory. Regions of a space may share bytes only when their lives do not overlap.
struct Region {
  const char* name = "";
  Space space = Space::kScratch;
  std::size_t slot = kShared;  ///< the slot that owns it, or kShared
  std::size_t offset = 0;      ///< bytes from the start of the space
  std::size_t bytes = 0;
  Phase first = Phase::kBind;
  Phase last = Phase::kTranspose;

  static constexpr std::size_t kShared = static_cast<std::size_t>(-1);
};

/// Bytes, alignment and place of everything that a block needs, known before any memory exists. A plain value.
struct EDGEATTN_API Plan {
  static constexpr std::size_t kAlignment = 64;

  Spec spec;
  Shape shape;
  Layout layout = Layout::kNchw;
  Isa isa = Isa::kScalar;  ///< never kAuto
  Precision precision = Precision::kFloat32;
  std::size_t threads = 1;

  std::size_t operand_sets = 1;      ///< 1: all threads work on one image; threads: each packs the image it works on for itself
  std::size_t query_tile = 0;        ///< Bq: rows of the largest query tile
  std::size_t query_unit = 0;        ///< tiles are whole multiples of this many rows, but for an image's last
  std::size_t key_block = 0;         ///< Bk: keys of all key blocks but the last
  std::size_t last_key_block = 0;    ///< keys of the last key block
  std::size_t key_blocks = 0;
  bool budget_reduced_keys = false;  ///< the byte budget made Bk smaller: sums have another order than without a budget

  std::size_t prepared_bytes = 0;    ///< folded weights, shared by every plan of the same spec
  std::size_t persistent_bytes = 0;  ///< operators of one block
  std::size_t scratch_bytes = 0;     ///< whatever a run overwrites; may be shared by blocks that never run at once
  std::size_t external_bytes = 0;    ///< what XNNPACK keeps outside the spans for this block

  /// Whether the products are of reduced precision.
  [[nodiscard]] constexpr bool reduced() const noexcept { return precision != Precision::kFloat32; }

  /// The memory map: prepared, persistent, what the slots share of scratch, then slot by slot.
  [[nodiscard]] std::size_t regions() const noexcept;
  [[nodiscard]] Region region(std::size_t index) const noexcept;

  // What bind and run use.
  PanelLayout projection;   ///< weights: C inputs, C outputs
  PanelLayout keys;         ///< K side of one head in one key block: d inputs, Bk outputs
  PanelLayout last_keys;    ///< the same of the last key block
  PanelLayout values;       ///< V side of one head in one key block: Bk inputs, d outputs
  PanelLayout last_values;  ///< the same of the last key block
  std::size_t pack_strip = 0;      ///< tokens that are packed at a time, and
  std::size_t last_pack_strip = 0; ///< in the last key block
  std::size_t channel_stride = 0;  ///< elements between rows of the tile buffers that are C wide
  std::size_t score_stride = 0;    ///< elements between rows of the scores
  std::size_t half_stride = 0;     ///< at reduced precision, of rows of 16 bits that are C wide
  std::size_t weight_stride = 0;   ///< and of those of softmax weights
  std::size_t quantized_stride = 0;  ///< bytes between quantised rows
  const char* gemm_name = "";      ///< of Gemm, as are the next two
  std::size_t operator_bytes = 0;
  std::size_t operand_offset = 0;
  Machine machine;                 ///< the one planned for

  static constexpr std::size_t kSharedRegions = 16;
  static constexpr std::size_t kSlotRegions = 10;
  Region shared_regions[kSharedRegions];
  std::size_t shared_region_count = 0;
  Region slot_regions[kSlotRegions];  ///< of slot 0
  std::size_t slot_region_count = 0;
  std::size_t slot_bytes = 0;         ///< distance from one slot's regions to the next one's
};

/// Plans memory and tiles for `spec` on `shape`. Touches no memory but its arguments and what `gemm.probe` does: XNNPACK's
/// takes temporary memory of some three times the largest operand (C×C or C×Bk floats), and frees it.
///
/// Bk depends on spec, shape and machine; Bq also on threads and the byte budget. Results of a run keep their bits for any
/// number of threads, and for any budget unless `budget_reduced_keys`.
///
/// kInvalidArgument: a size of zero, groups or heads that do not divide C, eps that is not positive, sizes that overflow;
/// kUnsupported: an ISA or a precision that the machine or the build lacks; kTooSmall: the budget, with the least that works by
/// the plan's own cuts; kGemm, kOutOfMemory: from the probe.
EDGEATTN_API Status plan(const Spec& spec, const Shape& shape, const PlanOptions& options, const Machine& machine,
                         const Gemm& gemm, Plan& plan) noexcept;

}  // namespace edgeattn
