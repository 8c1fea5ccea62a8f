#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "checked.h"
#include "edgeattn/io.h"
#include "errors.h"
#include "replace_file.h"

namespace edgeattn::io {
namespace {

/// Length and JSON of the header, padded so that the data begins at a multiple of 8.
std::string header_of(std::string_view tensor, std::span<const std::size_t> shape, std::size_t data_bytes) {
  nlohmann::ordered_json fields;
  fields["dtype"] = "F32";
  fields["shape"] = std::vector<std::size_t>(shape.begin(), shape.end());
  fields["data_offsets"] = {std::size_t{0}, data_bytes};
  nlohmann::ordered_json header;
  header[std::string(tensor)] = std::move(fields);
  std::string json = header.dump();
  json.resize((json.size() + 7) / 8 * 8, ' ');

  std::string length(8, '\0');
  for (std::size_t i = 0; i < length.size(); ++i)
    length[i] = static_cast<char>(std::uint64_t{json.size()} >> (8 * i) & 0xFFu);
  return length + json;
}

}  // namespace

Status write_safetensors(const std::string& path, std::string_view tensor, std::span<const std::size_t> shape,
                         std::span<const float> values) noexcept {
  return guarded(StatusCode::kInvalidArgument, path, [&]() -> Status {
    if (tensor == "__metadata__")
      return file_error(StatusCode::kInvalidArgument, path, "no tensor may be called __metadata__");
    std::size_t elements = 1;
    if (!multiply(elements, shape) || elements != values.size()) {
      return tensor_error(StatusCode::kInvalidArgument, path, tensor,
                          "expected as many values as its shape has, given ", values.size());
    }
    const std::string header = header_of(tensor, shape, values.size_bytes());
    return replace_file(path, {std::as_bytes(std::span(header)), std::as_bytes(values)});
  });
}

Status write_text(const std::string& path, std::string_view text) noexcept {
  return guarded(StatusCode::kIo, path, [&] { return replace_file(path, {std::as_bytes(std::span(text))}); });
}

}  // namespace edgeattn::io
