#include "cli/check_writable.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "cli/failure.h"

namespace edgeattn::cli {

void check_writable(const std::string& output) {
  namespace fs = std::filesystem;
  if (output.empty()) throw Failure("--output: expected a file name, given ''");
  const auto fail = [&](const std::string& reason) { throw Failure(output + ": cannot write the output: " + reason); };
  const fs::path path(output);
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status) || !path.has_filename()) fail("it is a directory, expected a file");
  const bool in_place = fs::exists(status) && !fs::is_regular_file(status);
  const fs::path target = in_place ? path : path.has_parent_path() ? path.parent_path() : fs::path(".");
  const std::string name = target.string();
  if (!in_place && !fs::is_directory(target, error)) fail("'" + name + "' is no directory");
  if (access(name.c_str(), in_place ? W_OK : W_OK | X_OK) != 0)
    fail("'" + name + "': " + std::generic_category().message(errno));
}

}  // namespace edgeattn::cli
