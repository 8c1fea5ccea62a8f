#pragma once

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "edgeattn/io.h"

namespace edgeattn::io {

/// The names of a file's tensors, sorted. Lives as long as the file.
class SortedKeys {
 public:
  explicit SortedKeys(const SafetensorsFile& file) {
    for (const TensorInfo& tensor : file.tensors()) names_.emplace_back(tensor.name);
    std::ranges::sort(names_);
  }

  /// Those that begin with `prefix`.
  [[nodiscard]] std::span<const std::string_view> below(std::string_view prefix) const {
    const auto start = [&](std::string_view name) { return name.substr(0, prefix.size()); };
    return {std::ranges::lower_bound(names_, prefix, {}, start), std::ranges::upper_bound(names_, prefix, {}, start)};
  }

 private:
  std::vector<std::string_view> names_;
};

}  // namespace edgeattn::io
