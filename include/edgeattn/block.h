#pragma once

#include <pthreadpool.h>

#include <cstddef>
#include <span>

#include "edgeattn/machine.h"
#include "edgeattn/plan.h"
#include "edgeattn/status.h"

namespace edgeattn {

/// Weights of a block, float32, row-major, 4-byte aligned. Not kept: prepare copies what it needs.
///
/// As trained, or folded by `fold` (one head): then score_weight is set, out_weight and out_bias are M and b', and there is no qkv.
struct Weights {
  const float* norm_weight = nullptr;   ///< [C]; null for Norm::kNone only
  const float* norm_bias = nullptr;     ///< [C]; null for Norm::kNone only
  const float* running_mean = nullptr;  ///< [C]; for Norm::kBatch only
  const float* running_var = nullptr;   ///< [C], ≥ 0; for Norm::kBatch only
  const float* qkv_weight = nullptr;    ///< [3C, C]: rows of q, then k, then v
  const float* qkv_bias = nullptr;      ///< [3C]; null means zero
  const float* out_weight = nullptr;    ///< [C, C]
  const float* out_bias = nullptr;      ///< [C]; null means zero
  const float* score_weight = nullptr;  ///< [C, C]: A, scaled for exp2; null for weights as trained
  const float* score_bias = nullptr;    ///< [C]: u, scaled for exp2; null means zero
};

/// Where `fold` writes, row-major.
struct FoldedSpans {
  std::span<float> score_weight;  ///< [C, C]: A·log₂e
  std::span<float> score_bias;    ///< [C]: u·log₂e
  std::span<float> out_weight;    ///< [C, C]: M
  std::span<float> out_bias;      ///< [C]: b'
};

/// Folds four projections into two, in float64, rounded once (docs/engine.md, Folding). `prepare` makes of the result the same
/// bits as of the weights as trained, for it folds with the same code.
///
/// @param pool  whose threads share the work, or null for the calling thread alone; bits do not depend on it. Not a pool whose task is
///              calling
/// Denormal numbers count as zero. kInvalidArgument names a tensor that is missing or not finite, also when the folded product is not,
/// and weights that are folded already; kTooSmall names the span.
EDGEATTN_API Status fold(const Spec& spec, const Weights& weights, const Machine& machine, const FoldedSpans& folded,
                         pthreadpool_t pool = nullptr) noexcept;

/// Folded and packed weights in the caller's memory. Read-only once made: any number of blocks, shapes and threads may
/// share one. The span must outlive every block bound to it.
struct Prepared {
  Spec spec;
  Precision precision = Precision::kFloat32;
  PanelLayout projection;
  const std::byte* score_weight = nullptr;  ///< A and u, packed: T = A x̂ + u, scaled for exp2; with several heads Wq and bq
  const std::byte* out_weight = nullptr;    ///< M and b', packed: Y = M o + b'; with several heads Wo and b'
  const float* norm = nullptr;          ///< [3, C]: mean, scale and shift (kBatch), or weight and bias in the last two rows

  // With several heads only.
  const std::byte* key_weight = nullptr;    ///< Wk, packed
  const std::byte* value_weight = nullptr;  ///< Wv, packed
  const float* identity = nullptr;          ///< [2, C]: zeros, ones
};

/// How weights are kept for plans of these options; any of their plans can use them.
struct PreparedFormat {
  Precision precision = Precision::kFloat32;
  Isa isa = Isa::kAuto;  ///< of the plans; not read for products of XNNPACK
};

/// Bytes of the span that `prepare` fills, the same as Plan::prepared_bytes.
EDGEATTN_API Status prepared_bytes(const Spec& spec, const Machine& machine, const Gemm& gemm, std::size_t& bytes,
                                   const PreparedFormat& format = {}) noexcept;

/// Folds weights as trained, and packs what `fold` gives into `memory`, at reduced precision rounded once more.
///
/// @param memory  at least prepared_bytes, aligned to 64
/// @param pool    as for `fold`; not kept
/// kInvalidArgument names a tensor that is missing or not finite, also when the folded product is not; kUnsupported: a precision that
/// the machine or the build lacks; kTooSmall; kOutOfMemory: from the probe, which takes temporary memory.
EDGEATTN_API Status prepare(const Spec& spec, const Weights& weights, const Machine& machine, const Gemm& gemm,
                            std::span<std::byte> memory, Prepared& prepared, const PreparedFormat& format = {},
                            pthreadpool_t pool = nullptr) noexcept;

/// Time of a run by phase. Filled by Block::run, which adds to what is there.
struct Profile {
  double seconds[kPhases] = {};  ///< summed over slots, indexed by Phase
};

/// A block bound to its memory. Movable by copy: all state is in the spans, which must outlive it.
class EDGEATTN_API Block {
 public:
  Block() noexcept = default;

  /// Runs the block on `x`: y = x + to_out(attention(norm(x))).
  ///
  /// @param x  [B, C, H, W] or [B, H, W, C], the plan's layout; 4-byte aligned
  /// @param y  same shape; x itself, or disjoint from it
  /// @param profile  null, or where to add the time of each phase
  /// @return kOk, or kInvalidArgument (null, misaligned or partly overlapping), and then y is untouched
  ///
  /// Never allocates, locks or throws, beyond what the pool does to start its threads. One call at a time on one Block;
  /// different Blocks run side by side unless they share scratch. A non-finite value in an image makes every output of that
  /// image NaN; denormal numbers count as zero. The same bits for any number of threads, any pool and any addresses.
  Status run(const float* x, float* y, Profile* profile = nullptr) noexcept;

  [[nodiscard]] const Plan& plan() const noexcept { return plan_; }

 private:
  friend Status bind(const Plan&, const Prepared&, std::span<std::byte>, std::span<std::byte>, pthreadpool_t,
                     Block&) noexcept;

  Plan plan_;
  Prepared prepared_;
  struct Slot* slots_ = nullptr;       // [threads] and
  struct ImageWork* works_ = nullptr;  // [operand_sets], both in the persistent span
  pthreadpool_t pool_ = nullptr;
};

/// Makes a block that runs `plan` with `prepared`: creates its operators inside `persistent`.
///
/// @param persistent  at least plan.persistent_bytes, aligned to 64; belongs to this block
/// @param scratch     at least plan.scratch_bytes, aligned to 64; written by bind and by run. Blocks may share it if neither
///                    binding nor running overlaps in time
/// @param pool        of any size, or null: then run uses the calling thread only. Must outlive the block
/// Allocates nothing that lives on. kTooSmall and kInvalidArgument name the span with required and given bytes; kMismatch when
/// plan and prepared, or plan and this machine, do not belong together; kGemm when XNNPACK refuses.
EDGEATTN_API Status bind(const Plan& plan, const Prepared& prepared, std::span<std::byte> persistent,
                         std::span<std::byte> scratch, pthreadpool_t pool, Block& block) noexcept;

}  // namespace edgeattn
