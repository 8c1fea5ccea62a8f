#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "edgeattn/io.h"

namespace sampler {

/// Throws Failure, which names the file.
edgeattn::io::SafetensorsFile open_tensors(const std::string& path);

/// Throws Failure, which names file and tensor, also when the shape is another one.
std::vector<float> read_tensor(const edgeattn::io::SafetensorsFile& file, const std::string& name,
                               const std::vector<std::size_t>& shape);

}  // namespace sampler
