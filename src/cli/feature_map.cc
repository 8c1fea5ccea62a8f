#include "cli/feature_map.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cli/failure.h"
#include "cli/text.h"
#include "edgeattn/io.h"

namespace edgeattn::cli {
namespace {

std::string names_of(const io::SafetensorsFile& file) {
  constexpr std::size_t kMost = 24;
  const auto& tensors = file.tensors();
  std::string names;
  for (std::size_t i = 0; i < std::min(kMost, tensors.size()); ++i) names += (i > 0 ? ", " : "") + tensors[i].name;
  if (tensors.size() > kMost) names += ", and " + std::to_string(tensors.size() - kMost) + " more";
  return names;
}

const io::TensorInfo& choose(const io::SafetensorsFile& file, const std::optional<std::string>& name,
                             const char* name_option) {
  const auto& tensors = file.tensors();
  if (tensors.empty()) throw Failure(file.path() + ": expected a tensor, the file holds none");
  if (!name && tensors.size() == 1) return tensors.front();
  if (!name)
    throw Failure(file.path() + ": holds " + std::to_string(tensors.size()) + " tensors, choose one with " +
                  name_option + ": " + names_of(file));
  const io::TensorInfo* tensor = file.find(*name);
  if (tensor == nullptr) throw Failure(file.path() + ": has no tensor '" + *name + "', but: " + names_of(file));
  return *tensor;
}

}  // namespace

FeatureMap read_feature_map(const std::string& path, const std::optional<std::string>& name, const char* name_option) {
  io::SafetensorsFile file;
  check(io::SafetensorsFile::open(path, file));
  const io::TensorInfo& tensor = choose(file, name, name_option);
  FeatureMap map{.source = path + ": tensor '" + tensor.name + "'", .shape = tensor.shape, .values = {}};
  const bool empty = std::find(map.shape.begin(), map.shape.end(), 0u) != map.shape.end();
  if (empty)
    throw Failure(map.source + ": expected sizes of at least 1, got the shape " + describe_shape(map.shape));
  check(file.read(tensor, map.values));
  return map;
}

Shape shape_of(const FeatureMap& map, Layout layout, std::size_t channels) {
  const bool nchw = layout == Layout::kNchw;
  const std::string c = std::to_string(channels);
  const auto& shape = map.shape;
  if (shape.size() != 4 || shape[nchw ? 1 : 3] != channels)
    throw Failure(map.source + ": expected the shape " + (nchw ? "[B, " + c + ", H, W]" : "[B, H, W, " + c + "]") +
                  " (" + to_string(layout) + ", " + c + " channels as the weights), got " + describe_shape(shape));
  return {.batch = shape[0], .height = shape[nchw ? 2 : 1], .width = shape[nchw ? 3 : 2]};
}

double max_abs_error(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
    const double difference = same ? 0 : std::abs(double{a[i]} - double{b[i]});
    if (std::isnan(difference)) return std::numeric_limits<double>::quiet_NaN();
    largest = std::max(largest, difference);
  }
  return largest;
}

}  // namespace edgeattn::cli
