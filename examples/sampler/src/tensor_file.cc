#include "tensor_file.h"

#include "failure.h"

namespace sampler {
namespace {

std::string to_text(const std::vector<std::size_t>& shape) {
  std::string text;
  for (const std::size_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

}  // namespace

edgeattn::io::SafetensorsFile open_tensors(const std::string& path) {
  edgeattn::io::SafetensorsFile file;
  check(edgeattn::io::SafetensorsFile::open(path, file));
  return file;
}

std::vector<float> read_tensor(const edgeattn::io::SafetensorsFile& file, const std::string& name,
                               const std::vector<std::size_t>& shape) {
  const edgeattn::io::TensorInfo* const tensor = file.find(name);
  const std::string expected = file.path() + ": expected a tensor '" + name + "' of shape " + to_text(shape);
  if (tensor == nullptr) throw Failure(expected + ", found none");
  if (tensor->shape != shape) throw Failure(expected + ", found " + to_text(tensor->shape));
  std::vector<float> values;
  check(file.read(*tensor, values));
  return values;
}

}  // namespace sampler
