#pragma once

#include <string_view>

#include "key_style.h"

namespace edgeattn::io {

/// Where in a block a key stands.
struct KeyPlace {
  enum Module : unsigned char { kNone = 1, kNorm = 2, kProjection = 4, kAny = 7 };
  Module module;
  std::string_view name;  ///< of the module, without its dot; empty for kNone
  std::string_view key;   ///< what follows
};

/// Of the key that goes on with `rest` behind the prefix of a block. Every name that the style knows for a norm is one.
KeyPlace key_place(const KeyStyle& style, std::string_view rest);

/// What modules that have such a key compute besides what the style's do, as the end of "this is"; null when it is not known.
const char* foreign_meaning(const KeyStyle& style, const KeyPlace& place);

/// Whether such a key changes no output, in a block whose norm is called `norm` or is not there (null): a counter, or what a
/// dropout remembers.
bool is_harmless(const KeyPlace& place, const char* norm);

/// Whether `pattern` fits some part of `key` between dots. It begins or ends with '*' where anything may stand.
bool fits_part(std::string_view pattern, std::string_view key);

}  // namespace edgeattn::io
