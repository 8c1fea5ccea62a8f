#pragma once

#include "edgeattn/io.h"

namespace edgeattn::io {

inline constexpr const char* kFoldedFormat = "edgeattn-folded";

/// Reads norm, groups, eps, scale, rescale_output and residual from the metadata of a file of folded weights; the rest of
/// `spec` stays. kFormat names the key and what was expected.
Status read_folded_spec(const SafetensorsFile& file, Spec& spec);

}  // namespace edgeattn::io
