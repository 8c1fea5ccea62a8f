#include "cli/check_writable.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "cli/failure.h"
#include "cli/places.h"

namespace edgeattn::cli {

void check_writable(const std::string& output) {
  namespace fs = std::filesystem;
  if (output.empty()) throw Failure("expected the name of an output, given ''");
  if (is_standard_output(output)) return;
  const auto fail = [&](const std::string& reason) { throw Failure(output + ": cannot write the output: " + reason); };
  const fs::path path(output);
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status) || !path.has_filename()) fail("it is a directory, expected a file");
  if (fs::exists(status)) {
    // Even where its folder may not be written to: then it is overwritten.
    if (access(output.c_str(), W_OK) != 0) fail(std::generic_category().message(errno));
    return;
  }
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const std::string name = folder.string();
  if (!fs::is_directory(folder, error)) fail("'" + name + "' is no directory");
  if (access(name.c_str(), W_OK | X_OK) != 0) fail("'" + name + "': " + std::generic_category().message(errno));
}

}  // namespace edgeattn::cli
