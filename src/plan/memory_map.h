#pragma once

#include "edgeattn/plan.h"

namespace edgeattn {

/// Names of the regions that bind and run look up.
namespace region {
inline constexpr const char* kScoreWeights = "score weights";
inline constexpr const char* kOutputWeights = "output weights";
inline constexpr const char* kNorm = "norm";
inline constexpr const char* kOperatorTable = "operator table";
inline constexpr const char* kOperators = "operators";
inline constexpr const char* kBindWork = "bind work";
inline constexpr const char* kPartialSums = "partial sums";
inline constexpr const char* kCoefficients = "coefficients";
inline constexpr const char* kKeys = "key operand";
inline constexpr const char* kValues = "value operand";
inline constexpr const char* kNormalized = "normalised tile";
inline constexpr const char* kProjected = "projected tile";
inline constexpr const char* kScores = "scores";
inline constexpr const char* kMixed = "mixed tile";
inline constexpr const char* kAccumulated = "accumulated tile";
inline constexpr const char* kOutput = "output tile";
inline constexpr const char* kRows = "softmax rows";
inline constexpr const char* kPoison = "poison";
}  // namespace region

/// Tokens that one entry of the partial sums covers; fixed, so that the order of sums is.
inline constexpr std::size_t kStatisticsTokens = 512;

/// Project, keys, last keys, values, last values.
inline constexpr std::size_t kOperatorsPerSlot = 5;

/// Fills in regions and bytes of a plan whose spec, shape, tiles, layouts and strides are set. A size that does not fit
/// becomes sizes::kTooLarge.
void map_memory(Plan& plan, bool packs_at_creation) noexcept;

/// Lays out the prepared weights alone: the same regions as in every plan of `spec`.
void map_prepared(Plan& plan) noexcept;

/// Offset of a region in its space: of `slot`, or of the shared one. Names and slots are those of the plan.
std::size_t region_offset(const Plan& plan, const char* name, std::size_t slot = 0) noexcept;

}  // namespace edgeattn
