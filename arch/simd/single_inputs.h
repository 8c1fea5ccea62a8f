#pragma once

#include <stddef.h>

/// Inputs of a product one by one, for instruction sets whose multiply-adds take no lane of a register. After the words of the set.
namespace edgeattn {
namespace {

/// kInputs consecutive inputs of a row of a product; fused_input<k> multiplies with the k-th. Here an input takes a register
/// only while it is used.
constexpr size_t kInputs = 1;
struct Inputs {
  const float* from;
};
inline Inputs load_inputs(const float* from) { return {from}; }
template <size_t>
inline Vec fused_input(Inputs inputs, Vec b, Vec c) {
  return fused(broadcast(*inputs.from), b, c);
}

}  // namespace
}  // namespace edgeattn
