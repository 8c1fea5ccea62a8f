#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "checked.h"
#include "dtype.h"
#include "edgeattn/io.h"
#include "errors.h"
#include "header.h"
#include "json_text.h"
#include "replace_file.h"

namespace edgeattn::io {
namespace {

/// Length and JSON of the header, padded so that the data begins at a multiple of 8.
std::string header_of(std::span<const NamedTensor> tensors, const Metadata& metadata) {
  JsonObject header;
  if (!metadata.empty()) {
    JsonObject pairs;
    for (const auto& [key, value] : metadata) pairs.add(key, value);
    header.add_json(kMetadataKey, pairs.text());
  }
  std::size_t end = 0;
  for (const NamedTensor& tensor : tensors) {
    const DtypeTraits& dtype = *find_dtype(tensor.dtype);
    const std::size_t begin = end;
    end += tensor.values.size() * (dtype.bits / 8);
    const std::size_t offsets[] = {begin, end};
    header.add_json(tensor.name, JsonObject()
                                     .add("dtype", dtype.name)
                                     .add_json("shape", json_array(tensor.shape))
                                     .add_json("data_offsets", json_array(offsets))
                                     .text());
  }
  std::string json = header.text();
  json.resize((json.size() + 7) / 8 * 8, ' ');

  std::string length(8, '\0');
  for (std::size_t i = 0; i < length.size(); ++i)
    length[i] = static_cast<char>(std::uint64_t{json.size()} >> (8 * i) & 0xFFu);
  return length + json;
}

Status check(const std::string& path, const NamedTensor& tensor) {
  if (tensor.name == kMetadataKey)
    return file_error(StatusCode::kInvalidArgument, path, "no tensor may be called ", kMetadataKey);
  const DtypeTraits* const dtype = find_dtype(tensor.dtype);
  if (dtype == nullptr || dtype->from_float == nullptr)
    return tensor_error(StatusCode::kUnsupported, path, tensor.name, "only F32, F16 and BF16 are written");
  std::size_t elements = 1;
  if (multiply(elements, tensor.shape) && elements == tensor.values.size()) return {};
  return tensor_error(StatusCode::kInvalidArgument, path, tensor.name, "expected as many values as its shape has, given ",
                      tensor.values.size());
}

/// The data of a tensor; `converted` holds what is not float32.
Bytes data_of(const NamedTensor& tensor, std::vector<std::byte>& converted) {
  if (tensor.dtype == Dtype::kF32) return std::as_bytes(tensor.values);
  const DtypeTraits& dtype = *find_dtype(tensor.dtype);
  converted.resize(tensor.values.size() * (dtype.bits / 8));
  dtype.from_float(tensor.values.data(), tensor.values.size(), converted.data());
  return converted;
}

/// A name or key given twice would make a file that no reader accepts.
Status check_names(const std::string& path, std::span<const NamedTensor> tensors, const Metadata& metadata) {
  std::vector<std::string_view> names, keys;
  for (const NamedTensor& tensor : tensors) names.push_back(tensor.name);
  for (const auto& [key, value] : metadata) keys.push_back(key);
  const auto find_twice = [](std::vector<std::string_view>& words) {
    std::ranges::sort(words);
    return std::ranges::adjacent_find(words);
  };
  if (const auto twice = find_twice(names); twice != names.end())
    return tensor_error(StatusCode::kInvalidArgument, path, *twice, "expected once, given twice");
  if (const auto twice = find_twice(keys); twice != keys.end())
    return file_error(StatusCode::kInvalidArgument, path, kMetadataKey, ": expected key '", Shown(*twice).c_str(),
                      "' once, given twice");
  return {};
}

}  // namespace

Status write_safetensors(const std::string& path, std::span<const NamedTensor> tensors,
                         const Metadata& metadata) noexcept {
  return guarded(StatusCode::kInvalidArgument, path, [&]() -> Status {
    for (const NamedTensor& tensor : tensors) EDGEATTN_TRY(check(path, tensor));
    EDGEATTN_TRY(check_names(path, tensors, metadata));
    const std::string header = header_of(tensors, metadata);
    std::vector<Bytes> parts = {std::as_bytes(std::span(header))};
    std::vector<std::vector<std::byte>> converted(tensors.size());
    for (std::size_t i = 0; i < tensors.size(); ++i) parts.push_back(data_of(tensors[i], converted[i]));
    return replace_file(path, parts);
  });
}

Status write_safetensors(const std::string& path, std::string_view tensor, std::span<const std::size_t> shape,
                         std::span<const float> values, Dtype dtype) noexcept {
  return guarded(StatusCode::kInvalidArgument, path, [&] {
    const NamedTensor view{
        .name = std::string(tensor), .shape = {shape.begin(), shape.end()}, .values = values, .dtype = dtype};
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
