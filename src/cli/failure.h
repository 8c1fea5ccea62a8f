#pragma once

#include <stdexcept>
#include <string>

#include "edgeattn/status.h"

namespace edgeattn::cli {

/// Ends the tool with one line on standard error and exit code 1.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws a Failure for an error status, its message behind `context`.
inline void check(const Status& status, const std::string& context = {}) {
  if (!status.ok()) throw Failure(context + status.message());
}

}  // namespace edgeattn::cli
