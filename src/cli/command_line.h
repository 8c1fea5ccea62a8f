#pragma once

#include <stdexcept>
#include <string>
#include <variant>

#include "cli/command.h"

namespace edgeattn::cli {

/// What `--help` and `--version` print.
struct Information {
  std::string text;
};

using Command = std::variant<Information, RunOptions, PlanCommandOptions, BenchOptions, CheckOptions, FoldOptions, InspectOptions>;

/// Ends the tool with one line on standard error and exit code 2.
struct WrongCommandLine : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The subcommand that `argv` asks for, with its options, all of which are in range. Throws WrongCommandLine.
Command parse_command_line(int argc, char** argv);

}  // namespace edgeattn::cli
