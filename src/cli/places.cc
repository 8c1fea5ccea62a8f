#include "cli/places.h"

#include <sys/stat.h>
#include <unistd.h>

#include "cli/failure.h"
#include "edgeattn/io.h"

namespace edgeattn::cli {
namespace {

constexpr const char* kStandardOutput = "/dev/stdout";

/// What a path leads to; none for what is not there.
std::optional<struct stat> status_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return info;
}

std::optional<struct stat> status_of(int descriptor) {
  struct stat info {};
  if (::fstat(descriptor, &info) != 0) return {};
  return info;
}

bool same(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

/// Whether what is written to both is mixed up, as it is in a file, a pipe and on a terminal; nothing is on a device that drops
/// it.
bool mix(const std::optional<struct stat>& a, const std::optional<struct stat>& b, int descriptor) {
  return a && b && same(*a, *b) && (!S_ISCHR(a->st_mode) || ::isatty(descriptor) == 1);
}

void add(const char* option, const std::optional<std::string>& path, std::vector<Place>& places) {
  if (path) places.push_back({option, *path});
}

std::optional<Place> output_of(const char* option, const BlockOptions& options) {
  if (!options.output) return {};
  return Place{option, *options.output};
}

void check_pipes(const std::vector<Place>& inputs) {
  for (const Place& first : inputs) {
    const auto info = status_of(first.path);
    if (!info || !S_ISFIFO(info->st_mode)) continue;
    for (const Place* second = &first + 1; second != inputs.data() + inputs.size(); ++second) {
      const auto other = status_of(second->path);
      if (other && same(*info, *other))
        throw Failure(std::string(first.option) + " and " + second->option + ": " + second->path +
                      " is one pipe, which is read only once");
    }
  }
}

/// The files that a path is read from: itself, and the shards of an index. What cannot be opened is complained about when it is
/// read.
std::vector<std::string> files_of(const std::string& path) {
  const auto info = status_of(path);
  io::SafetensorsFile file;
  const bool opened = info && S_ISREG(info->st_mode) && io::SafetensorsFile::open(path, file).ok();
  return opened ? file.files() : std::vector{path};
}

void check_output(const Place& output, const std::vector<Place>& inputs) {
  const auto info = status_of(output.path);
  if (!info || S_ISCHR(info->st_mode)) return;
  for (const Place& input : inputs)
    for (const std::string& file : files_of(input.path)) {
      const auto read = status_of(file);
      if (!read || !same(*info, *read)) continue;
      const std::string by_name = file == output.path ? "" : output.path + " ";
      throw Failure(std::string(output.option) + ": " + by_name + "would overwrite " + file + ", which " + input.option +
                    " reads");
    }
}

void check_messages(const Place& output) {
  const auto messages = status_of(STDERR_FILENO);
  const bool standard = is_standard_output(output.path);
  const auto written = standard ? status_of(STDOUT_FILENO) : status_of(output.path);
  if (mix(written, messages, STDERR_FILENO))
    throw Failure(std::string(output.option) + ": " + (standard ? "standard output" : output.path) +
                  " goes where standard error goes, whose messages would be mixed into it");
}

}  // namespace

Places places_of(const RunOptions& options) {
  Places places{.inputs = {}, .output = output_of("--output", options)};
  add("--weights", options.weights, places.inputs);
  add("--input", options.input, places.inputs);
  add("--reference", options.reference, places.inputs);
  return places;
}

Places places_of(const PlanCommandOptions& options) {
  Places places{.inputs = {}, .output = output_of("--svg", options)};
  add("--weights", options.weights, places.inputs);
  return places;
}

Places places_of(const BenchOptions& options) {
  Places places{.inputs = {}, .output = output_of("--svg", options)};
  add("--weights", options.weights, places.inputs);
  return places;
}

Places places_of(const CheckOptions& options) {
  Places places;
  add("--weights", options.weights, places.inputs);
  add("--input", options.input, places.inputs);
  return places;
}

Places places_of(const FoldOptions& options) {
  Places places{.inputs = {}, .output = output_of("--output", options)};
  add("--weights", options.weights, places.inputs);
  return places;
}

Places places_of(const InspectOptions& options) { return {.inputs = {{"WEIGHTS", options.weights}}, .output = {}}; }

bool is_standard_output(const std::string& path) {
  if (path == kStandardOutput) return true;
  return mix(status_of(path), status_of(STDOUT_FILENO), STDOUT_FILENO);
}

std::string target_of(const std::string& output) { return is_standard_output(output) ? kStandardOutput : output; }

void check_places(const Places& places) {
  check_pipes(places.inputs);
  if (!places.output) return;
  check_output(*places.output, places.inputs);
  check_messages(*places.output);
}

}  // namespace edgeattn::cli
