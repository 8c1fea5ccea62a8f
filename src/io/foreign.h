#pragma once

#include <string>

#include "edgeattn/io.h"
#include "key_style.h"

namespace edgeattn::io {

/// kUnsupported when a key behind the block's prefix is none of its style's, nor one that changes nothing: names it, what it is
/// known to be, and the way out. `norm` is what the block's norm is called; null when it has none.
Status check_foreign_keys(const SafetensorsFile& file, const SortedKeys& keys, const BlockPlace& place, const char* norm);

/// kUnsupported when the block stands in a wrapper of lucidrains' that has its norm: it may be linear attention too.
Status check_wrapped(const SafetensorsFile& file, const SortedKeys& keys, const BlockPlace& place, const char* norm,
                     Diagnosis diagnosis);

/// kUnsupported when a projection behind `prefix`, or anywhere when that is null, has its weight in another form: a transposed
/// kernel of Flax or TensorFlow, parts of a LoRA, of a quantised weight, of a weight norm. Names it and what was expected.
Status check_hidden_projections(const SafetensorsFile& file, const std::string* prefix);

/// What looks like a norm of so many channels one level above `prefix`; null when nothing does. Looks at all keys there.
const TensorInfo* norm_above(const SafetensorsFile& file, const SortedKeys& keys, const std::string& prefix,
                             std::size_t channels);

}  // namespace edgeattn::io
