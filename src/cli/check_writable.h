#pragma once

#include <string>

namespace edgeattn::cli {

/// Finds out before the work, not after it, that the output cannot be written. Throws Failure.
void check_writable(const std::string& output);

}  // namespace edgeattn::cli
