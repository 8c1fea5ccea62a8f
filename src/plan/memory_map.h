#pragma once

#include <string_view>

#include "edgeattn/plan.h"
#include "plan/sizes.h"
#include "thread_sanitizer.h"

namespace edgeattn {

/// Names of the regions that bind and run look up.
namespace region {
inline constexpr char kScoreWeights[] = "score weights";
inline constexpr char kKeyWeights[] = "key weights";
inline constexpr char kValueWeights[] = "value weights";
inline constexpr char kOutputWeights[] = "output weights";
inline constexpr char kNorm[] = "norm";
inline constexpr char kIdentity[] = "identity";
inline constexpr char kSlots[] = "slot table";
inline constexpr char kWorks[] = "image table";
inline constexpr char kOperators[] = "operators";
inline constexpr char kBindWork[] = "bind work";
inline constexpr char kPartialSums[] = "partial sums";
inline constexpr char kPivots[] = "pivots";
inline constexpr char kCoefficients[] = "coefficients";
inline constexpr char kKeys[] = "key operand";
inline constexpr char kValues[] = "value operand";
inline constexpr char kNormalized[] = "normalised tile";
inline constexpr char kProjected[] = "projected tile";
inline constexpr char kScores[] = "scores";
inline constexpr char kMixed[] = "mixed tile";
inline constexpr char kAccumulated[] = "accumulated tile";
inline constexpr char kOutput[] = "output tile";
inline constexpr char kRows[] = "softmax rows";
inline constexpr char kPoison[] = "poison";
// At reduced precision only.
inline constexpr char kKeyCenter[] = "key centre";
inline constexpr char kHalfRows[] = "rounded tile";
inline constexpr char kQuantized[] = "quantised tile";
inline constexpr char kSoftmaxWeights[] = "softmax weights";
}  // namespace region

/// Tokens that one entry of the partial sums covers; fixed, so that the order of sums is.
inline constexpr std::size_t kStatisticsTokens = 512;

/// Project, keys, last keys, values, last values.
inline constexpr std::size_t kOperatorsPerSlot = 5;

/// Room for what block/ keeps of each slot, and of each set of operands.
inline constexpr std::size_t kSlotBytes = EDGEATTN_TSAN ? 448 : 256;
inline constexpr std::size_t kWorkBytes = 128;

/// Bytes from one key block's operand to the next one's: keeps each aligned to 64 bytes.
constexpr std::size_t operand_stride(const PanelLayout& layout) noexcept {
  return sizes::round_up(layout.bytes(), Plan::kAlignment);
}

/// Fills in regions and bytes of a plan whose spec, shape, tiles, layouts and strides are set. A size that does not fit
/// becomes sizes::kTooLarge.
void map_memory(Plan& plan, bool packs_at_creation) noexcept;

/// Lays out the prepared weights alone: the same regions as in every plan of `spec`.
void map_prepared(Plan& plan) noexcept;

/// Whether what a key block adds to a tile has a region of its own: with several blocks, and products of XNNPACK, which overwrite.
bool has_mixed_tile(const Plan& plan) noexcept;

/// The region `name`: of `slot`, or the shared one. Empty when the plan has none of that name.
Region find_region(const Plan& plan, std::string_view name, std::size_t slot = 0) noexcept;

}  // namespace edgeattn
