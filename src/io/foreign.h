#pragma once

#include <string>

#include "edgeattn/io.h"

namespace edgeattn::io {

/// kUnsupported when what begins with `prefix` has the keys of a block but is known to compute something else; names the
/// tensor that gives it away.
Status check_foreign_module(const SafetensorsFile& file, const std::string& prefix);

/// kUnsupported when a projection behind `prefix`, or anywhere when that is null, is a kernel of Flax or TensorFlow: those
/// are transposed. Names it and what was expected.
Status check_transposed_kernels(const SafetensorsFile& file, const std::string* prefix);

}  // namespace edgeattn::io
