#include "qkv_order.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace edgeattn::io {
namespace {

void reorder_rows(std::vector<float>& values, std::size_t heads) {
  const std::vector<float> legacy = values;
  const auto chunk = static_cast<std::ptrdiff_t>(values.size() / (3 * heads));  // q, k or v of one head
  auto from = legacy.begin();
  for (std::size_t head = 0; head < heads; ++head) {
    for (std::size_t part = 0; part < 3; ++part, from += chunk)
      std::copy_n(from, chunk, values.begin() + static_cast<std::ptrdiff_t>(part * heads + head) * chunk);
  }
}

}  // namespace

void reorder_legacy(BlockWeights& weights) {
  reorder_rows(weights.qkv_weight, weights.spec.heads);
  reorder_rows(weights.qkv_bias, weights.spec.heads);
}

}  // namespace edgeattn::io
