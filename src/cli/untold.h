#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "edgeattn/io.h"

namespace edgeattn::cli {

/// One bit of io::Untold, for people.
struct UntoldField {
  std::uint32_t bit;
  const char* name;    ///< in JSON
  const char* option;  ///< that tells it
  std::string (*describe)(const Spec& spec);  ///< "1 head"
  std::string (*json)(const Spec& spec);      ///< "1"
};

/// All that can be assumed or needed; those that can only be needed have no value in a spec.
std::span<const UntoldField> untold_fields();

/// The options that tell what `untold` has: "--eps, --heads"; empty for none.
std::string untold_options(std::uint32_t untold);

/// What was assumed of a spec: "1 head, gn with 32 groups"; empty for nothing.
std::string describe_assumed(std::uint32_t assumed, const Spec& spec);

/// An object of what was assumed of a spec: {"heads":1}.
std::string assumed_json(std::uint32_t assumed, const Spec& spec);

}  // namespace edgeattn::cli
