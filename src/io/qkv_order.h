#pragma once

#include "edgeattn/io.h"

namespace edgeattn::io {

/// Moves the rows of qkv_weight and qkv_bias from [head][q, k, v][C/heads] to [q, k, v][head][C/heads].
void reorder_legacy(BlockWeights& weights);

}  // namespace edgeattn::io
