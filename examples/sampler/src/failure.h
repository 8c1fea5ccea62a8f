#pragma once

#include <stdexcept>

#include "edgeattn/status.h"

namespace sampler {

/// Ends the program, before its first step or after its last, with one line.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline void check(const edgeattn::Status& status) {
  if (!status.ok()) throw Failure(status.message());
}

}  // namespace sampler
