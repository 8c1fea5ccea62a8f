#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "edgeattn/plan.h"

namespace edgeattn::cli {

/// One tensor of a file, as float32.
struct FeatureMap {
  std::string source;              ///< file and tensor, for messages
  std::vector<std::size_t> shape;  ///< as in the file
  std::vector<float> values;
};

/// Reads the tensor called `name`, or the file's only one. Throws Failure, which lists the names to choose from and
/// says that `name_option` is how.
FeatureMap read_feature_map(const std::string& path, const std::optional<std::string>& name, const char* name_option);

/// The shape of a map of rank 4 in `layout`. Throws Failure unless it has `channels` channels and no empty dimension.
Shape shape_of(const FeatureMap& map, Layout layout, std::size_t channels);

/// max |a - b|, or NaN when one of the two is NaN where the other is not. Of equal sizes.
double max_abs_error(const std::vector<float>& a, const std::vector<float>& b);

}  // namespace edgeattn::cli
