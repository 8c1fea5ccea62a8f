#pragma once

#include "edgeattn/io.h"
#include "key_style.h"

namespace edgeattn::io {

/// What neither the file nor `request` tells of a block, as sets of Untold.
struct OpenQuestions {
  std::uint32_t needed = 0;   ///< must be said
  std::uint32_t assumed = 0;  ///< is taken as the style usually has it
};

/// Of a block whose spec is chosen: the one rule for all styles (docs/safetensors.md).
OpenQuestions open_questions(const KeyStyle& style, const BlockRequest& request, const Spec& spec);

/// Puts what the caller chooses into the spec that the file tells of. kInvalidArgument when that contradicts what the weights
/// were folded for.
Status apply_request(const SafetensorsFile& file, const BlockPlace& place, const BlockRequest& request, Spec& spec);

/// Whether `request` answers all that the file cannot, and nothing that it does, and the spec is one of a block.
/// kInvalidArgument says which and why.
Status check_request(const SafetensorsFile& file, const BlockPlace& place, const BlockRequest& request, const Spec& spec);

}  // namespace edgeattn::io
