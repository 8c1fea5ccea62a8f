#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "edgeattn/plan.h"

namespace edgeattn::test {

/// Largest relative rms errors of the attention term, y without the residual, that docs/precision.md promises.
struct ReducedBounds {
  double on_real_data;
  double on_random_data;  ///< with scores of at most
  double largest_score;
};
inline ReducedBounds reduced_bounds(Precision precision) {
  return precision == Precision::kInt8 ? ReducedBounds{4e-3, 1e-2, 4} : ReducedBounds{3e-3, 1e-2, 30};
}

/// Root of the mean square of y - exact over that of the attention term. NaN counts as it should.
template <class Exact>
double relative_rms_error(const Spec& spec, const std::vector<float>& x, const std::vector<float>& y, const std::vector<Exact>& exact) {
  double errors = 0, terms = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double error = double{y[i]} - double{exact[i]};
    const double term = double{exact[i]} - (spec.residual ? double{x[i]} / spec.rescale_output : 0.0);
    errors += error * error;
    terms += term * term;
  }
  return std::sqrt(errors / terms);
}

}  // namespace edgeattn::test
