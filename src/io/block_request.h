#pragma once

#include "edgeattn/io.h"
#include "key_style.h"

namespace edgeattn::io {

/// Puts what the caller chooses into the spec that the file tells of. kInvalidArgument when that contradicts what the weights
/// were folded for.
Status apply_request(const SafetensorsFile& file, const BlockPlace& place, const BlockRequest& request, Spec& spec);

/// Whether `request` answers all that the file cannot, and nothing that it does, and the spec is one of a block.
/// kInvalidArgument says which and why.
Status check_request(const SafetensorsFile& file, const BlockPlace& place, const BlockRequest& request, const Spec& spec);

}  // namespace edgeattn::io
