#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "edgeattn/status.h"

namespace edgeattn::io {

using Bytes = std::span<const std::byte>;

/// Makes `parts`, one after the other, the content of `path`: all of it or nothing.
///
/// A new file and a regular one are written under a temporary name in the same folder and renamed; the new file has the mode of
/// the one that it replaces, and a symbolic link keeps pointing to it. Where no file can be renamed over a writable one, for it
/// is a mount point or its folder is read-only, that is overwritten, after room for all of it was reserved. What exists and is no
/// regular file (a device, a pipe), and a descriptor of this process by its name (/dev/stdout), is written directly.
///
/// kIo and kOutOfMemory name the path and the reason; then nothing is left behind, and an old file is as it was, unless the
/// message says otherwise: when the disk itself fails while one is overwritten. No signal of a write (SIGPIPE, SIGXFSZ) ends the
/// process.
Status replace_file(const std::string& path, std::span<const Bytes> parts);

}  // namespace edgeattn::io
