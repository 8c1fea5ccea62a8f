#pragma once

#include <cstddef>
#include <string>

#include "edgeattn/plan.h"

namespace sampler {

struct Options {
  std::string weights;
  std::string noise;
  std::string output = "digits.png";
  std::string reference;    ///< empty: none
  edgeattn::Precision precision = edgeattn::Precision::kFloat32;  ///< of attention
  std::size_t threads = 0;  ///< 0: as many as processors
  std::size_t steps = 0;    ///< at most 200; 0: all
};

/// The exit code of a wrong command line.
inline constexpr int kWrongCommandLine = 2;

/// @return false if the program is to end with `exit_code`: help was asked for, or the command line is wrong, which is said
///         in one line
bool parse_options(int argc, char** argv, Options& options, int& exit_code);

}  // namespace sampler
