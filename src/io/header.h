#pragma once

#include <string_view>
#include <vector>

#include "edgeattn/io.h"

namespace edgeattn::io {

inline constexpr const char* kMetadataKey = "__metadata__";

/// Parses the JSON header of a safetensors file and checks its form; what the fields say is not looked at. `offset` of
/// a tensor is where its data begins within the data section. `metadata` is sorted by key.
Status parse_header(std::string_view path, std::string_view json, std::vector<TensorInfo>& tensors, Metadata& metadata);

}  // namespace edgeattn::io
