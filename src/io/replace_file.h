#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "edgeattn/status.h"

namespace edgeattn::io {

using Bytes = std::span<const std::byte>;

/// Makes `parts`, one after the other, the content of `path`: all of it or nothing.
///
/// A new file and a regular one are written under a temporary name in the same folder and renamed; the new file has the
/// mode of the one that it replaces, and a symbolic link keeps pointing to it. What exists and is no regular file (a
/// device, a pipe) is written directly. kIo and kOutOfMemory name the path and the reason; then nothing is left behind.
Status replace_file(const std::string& path, std::span<const Bytes> parts);

}  // namespace edgeattn::io
