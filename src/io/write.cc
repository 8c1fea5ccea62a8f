#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "checked.h"
#include "edgeattn/io.h"
#include "errors.h"
#include "header.h"
#include "replace_file.h"

namespace edgeattn::io {
namespace {

/// Length and JSON of the header, padded so that the data begins at a multiple of 8.
std::string header_of(std::span<const NamedTensor> tensors, const Metadata& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  for (const auto& [key, value] : metadata) header[kMetadataKey][key] = value;
  std::size_t end = 0;
  for (const NamedTensor& tensor : tensors) {
    const std::size_t begin = end;
    end += tensor.values.size_bytes();
    header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
  }
  std::string json = header.dump();
  json.resize((json.size() + 7) / 8 * 8, ' ');

  std::string length(8, '\0');
  for (std::size_t i = 0; i < length.size(); ++i)
    length[i] = static_cast<char>(std::uint64_t{json.size()} >> (8 * i) & 0xFFu);
  return length + json;
}

Status check(const std::string& path, const NamedTensor& tensor) {
  if (tensor.name == kMetadataKey)
    return file_error(StatusCode::kInvalidArgument, path, "no tensor may be called ", kMetadataKey);
  std::size_t elements = 1;
  if (multiply(elements, tensor.shape) && elements == tensor.values.size()) return {};
  return tensor_error(StatusCode::kInvalidArgument, path, tensor.name, "expected as many values as its shape has, given ",
                      tensor.values.size());
}

/// A name given twice would make a file that no reader accepts.
Status check_names(const std::string& path, std::span<const NamedTensor> tensors) {
  std::vector<std::string_view> names;
  for (const NamedTensor& tensor : tensors) names.push_back(tensor.name);
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  if (twice == names.end()) return {};
  return tensor_error(StatusCode::kInvalidArgument, path, *twice, "expected once, given twice");
}

}  // namespace

Status write_safetensors(const std::string& path, std::span<const NamedTensor> tensors,
                         const Metadata& metadata) noexcept {
  return guarded(StatusCode::kInvalidArgument, path, [&]() -> Status {
    for (const NamedTensor& tensor : tensors) EDGEATTN_TRY(check(path, tensor));
    EDGEATTN_TRY(check_names(path, tensors));
    const std::string header = header_of(tensors, metadata);
    std::vector<Bytes> parts = {std::as_bytes(std::span(header))};
    for (const NamedTensor& tensor : tensors) parts.push_back(std::as_bytes(tensor.values));
    return replace_file(path, parts);
  });
}

Status write_safetensors(const std::string& path, std::string_view tensor, std::span<const std::size_t> shape,
                         std::span<const float> values) noexcept {
  return guarded(StatusCode::kInvalidArgument, path, [&] {
    const NamedTensor view{.name = std::string(tensor), .shape = {shape.begin(), shape.end()}, .values = values};
    return write_safetensors(path, std::span(&view, 1));
  });
}

Status write_text(const std::string& path, std::string_view text) noexcept {
  return guarded(StatusCode::kIo, path, [&] {
    const Bytes bytes = std::as_bytes(std::span(text));
    return replace_file(path, std::span(&bytes, 1));
  });
}

}  // namespace edgeattn::io
