#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "edgeattn/status.h"

namespace edgeattn::io {

/// Where a sharded model has one of its tensors.
struct IndexEntry {
  std::string tensor;
  std::string shard;  ///< a name in the folder of the index, without any folder
};

/// Parses a `model.safetensors.index.json`: its `weight_map`, sorted by tensor. kFormat for what is no such file, for a tensor
/// named twice, and for a shard that would be anywhere but beside the index.
Status parse_index(std::string_view path, std::string_view json, std::vector<IndexEntry>& entries);

}  // namespace edgeattn::io
