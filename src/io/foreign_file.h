#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace edgeattn::io {

/// How many of a file's first bytes foreign_file looks at.
inline constexpr std::size_t kForeignBytes = 4096;

/// What a file that is no safetensors file is instead, by its first bytes, and what to do about it: "a Git LFS pointer, …"; empty
/// when nothing is known that begins so.
std::string foreign_file(std::span<const std::byte> bytes);

/// Whether the text of a JSON object begins here.
bool is_json_object(std::span<const std::byte> bytes);

/// The first bytes in hexadecimal: "7f 45 4c 46 …".
std::string first_bytes(std::span<const std::byte> bytes);

}  // namespace edgeattn::io
