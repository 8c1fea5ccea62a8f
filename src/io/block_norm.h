#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "edgeattn/io.h"
#include "key_style.h"

namespace edgeattn::io {

/// A tensor of a norm.
struct NormKey {
  const char* suffix;
  std::vector<float> BlockWeights::*values;
  bool running;  ///< of batch norm only

  [[nodiscard]] constexpr bool belongs_to(Norm norm) const { return running ? norm == Norm::kBatch : norm != Norm::kNone; }
  /// Its name in a block whose norm is called `norm`.
  [[nodiscard]] std::string tensor(const BlockPlace& place, const char* norm) const { return place.prefix + norm + suffix; }
};
inline constexpr NormKey kNormKeys[] = {
    {".weight", &BlockWeights::norm_weight, false},
    {".bias", &BlockWeights::norm_bias, false},
    {".running_mean", &BlockWeights::running_mean, true},
    {".running_var", &BlockWeights::running_var, true},
};

/// What the block's norm is called; null when it has none. kUnsupported names two.
Status find_norm(const SafetensorsFile& file, const BlockPlace& place, const char*& name);

/// kInvalidArgument names a tensor of the norm called `name` that `norm` forbids: it would be left out.
Status check_other_norm_keys(const SafetensorsFile& file, const BlockPlace& place, Norm norm, const char* name);

/// The error for a block that lacks its norm: kNotFound, with what stands above the block and with what to say.
Status missing_norm(const SafetensorsFile& file, const SortedKeys& keys, const BlockPlace& place, std::size_t channels,
                    Diagnosis diagnosis);

}  // namespace edgeattn::io
