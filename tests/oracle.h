#pragma once

#include <vector>

#include "edgeattn/io.h"
#include "edgeattn/plan.h"

namespace edgeattn::test {

/// The block's formula, unfolded, as design.md states it: what everything else is judged by, io::exact_output too, so that it shares
/// no code with what it judges; and the same code in float32 is the naive formula of the bound.
struct Reference {
  std::vector<double> exact;    ///< float64 throughout
  std::vector<float> naive;     ///< float32 sums in index order, statistics in float64
  std::vector<double> freedom;  ///< what rounding of nearly tied scores may change; zeros unless asked for (docs/engine.md, Accuracy)
  double largest_score;         ///< in magnitude
};

/// @param x  in `layout`; so are the results
Reference reference(const io::BlockWeights& weights, const Shape& shape, Layout layout, const std::vector<float>& x,
                    bool with_freedom = false);

/// What is allowed beside the bound.
struct Leniency {
  double floor = 0;  ///< an error that is always small enough
  bool nan = false;  ///< NaN instead of a number
};

/// The softmax weights [heads, N] of one query in float64, from q and k of weights as trained.
std::vector<double> reference_attention(const io::BlockWeights& weights, const Shape& shape, Layout layout,
                                        const std::vector<float>& x, std::size_t image, std::size_t token);

/// The bound of design.md section 6 for one output: 2·max|naive - y64| + 8·2⁻²⁴·max(|x|, |y64|), with the maximum of the
/// first term taken over the image that the output belongs to, over what is finite; and the freedom of scores, if it is known.
struct ErrorBound {
  double worst_excess = 0;  ///< largest error over its bound; at most 1 is within
  double worst_error = 0;
};
ErrorBound judge(const Reference& reference, const Shape& shape, const std::vector<float>& x, const std::vector<float>& y,
                 const Leniency& leniency = {});

}  // namespace edgeattn::test
