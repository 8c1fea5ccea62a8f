#pragma once

#include <string>
#include <vector>

#include "edgeattn/io.h"
#include "file_bytes.h"

namespace edgeattn::io {

/// The most bytes of a header, and of an index.
inline constexpr std::size_t kMostHeaderBytes = 100'000'000;

/// Checks a whole safetensors file, and reads it as far as it is not read yet. `tensors` are in the order of their data, no name
/// twice, with offsets in the file; `metadata` is sorted by key.
Status parse_file(const std::string& path, FileBytes& file, std::vector<TensorInfo>& tensors, Metadata& metadata);

}  // namespace edgeattn::io
