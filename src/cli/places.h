#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"

namespace edgeattn::cli {

/// A file that an option names.
struct Place {
  const char* option;
  std::string path;
};

/// All files that a command reads and writes.
struct Places {
  std::vector<Place> inputs;
  std::optional<Place> output;
};

Places places_of(const RunOptions& options);
Places places_of(const PlanCommandOptions& options);
Places places_of(const BenchOptions& options);
Places places_of(const CheckOptions& options);
Places places_of(const FoldOptions& options);
Places places_of(const InspectOptions& options);

/// Whether a path is standard output, under whatever name: then nothing else may be written there.
bool is_standard_output(const std::string& path);

/// The path to write an output to: /dev/stdout for standard output, which is written to and not replaced, even if it is a file.
std::string target_of(const std::string& output);

/// Finds out before the work what would lose or mix up data. Throws Failure for two inputs that are one pipe; for an output that
/// is a file that an input is read from, a shard among them, by whatever names; and for one that goes where messages go.
void check_places(const Places& places);

}  // namespace edgeattn::cli
