#pragma once

#include <string>
#include <string_view>

#include "edgeattn/io.h"
#include "edgeattn/plan.h"

namespace edgeattn::cli {

/// `text` on one line: control characters become '?'.
std::string one_line(std::string_view text);

/// A number with `digits` significant digits.
std::string significant(double value, int digits);

/// "batch 2, 64 channels, 16 x 16 pixels, nchw; 1 thread, avx2".
std::string describe_run(const Plan& plan);

/// The same, and ", f32, XNNPACK 2022; tiles of 126 queries by 256 keys".
std::string describe(const Plan& plan);

/// "gn with 32 groups, eps 1e-05", and what is unusual of the rest: ", 4 heads, no residual, output over 1.41421".
std::string describe(const Spec& spec);

/// "'am.', ddpm, gn with 32 groups, eps 1e-05".
std::string describe(const io::BlockWeights& weights);

/// "[2, 64, 16, 16]".
template <class Sizes>
std::string describe_shape(const Sizes& sizes) {
  std::string text;
  for (auto size : sizes) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

}  // namespace edgeattn::cli
