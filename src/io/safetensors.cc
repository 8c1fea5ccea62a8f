#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "checked.h"
#include "dtype.h"
#include "edgeattn/io.h"
#include "errors.h"
#include "header.h"
#include "mapping.h"

namespace edgeattn::io {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

/// Finds the header behind its length.
Status split_header(std::string_view path, std::span<const std::byte> bytes, std::string_view& header) {
  if (bytes.empty()) return file_error(StatusCode::kFormat, path, "expected a safetensors file, given an empty one");
  if (bytes.size() < kLengthBytes) {
    return file_error(StatusCode::kFormat, path, "expected 8 bytes of header length, given ", bytes.size());
  }
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaxHeaderBytes) {
    return file_error(StatusCode::kFormat, path, "header: expected at most 100000000 bytes, given a length of ",
                      std::to_string(length).c_str());
  }
  if (length > bytes.size() - kLengthBytes) {
    return file_error(StatusCode::kFormat, path, "header: expected within the file, which has ",
                      bytes.size() - kLengthBytes, " bytes for it, given a length of ",
                      static_cast<std::size_t>(length));
  }
  header = {reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, static_cast<std::size_t>(length)};
  return {};
}

/// Checks one tensor by itself: dtype, and bytes against the shape.
Status check_tensor(std::string_view path, std::size_t data_bytes, TensorInfo& tensor) {
  const auto fail = [&](auto... parts) { return tensor_error(StatusCode::kFormat, path, tensor.name, parts...); };
  const DtypeTraits* dtype = find_dtype(tensor.dtype_name);
  if (dtype == nullptr) return fail("dtype '", Shown(tensor.dtype_name).c_str(), "' is unknown");
  tensor.dtype = dtype->dtype;
  std::size_t expected = 1;
  if (!multiply(expected, tensor.shape) || !multiply(expected, dtype->bytes))
    return fail("shape: the product of its sizes overflows");
  if (expected != tensor.bytes) {
    return fail("expected ", expected, " bytes for its shape and dtype, given data_offsets of ", tensor.bytes,
                " bytes");
  }
  if (tensor.offset > data_bytes || tensor.bytes > data_bytes - tensor.offset) {
    return fail("data_offsets end at ", tensor.offset + tensor.bytes, ", past the end of the ", data_bytes,
                " bytes of data that the file holds");
  }
  return {};
}

/// Checks that the tensors, in the order of their data, fill the data section without overlaps or gaps.
Status check_cover(std::string_view path, std::size_t data_bytes, const std::vector<TensorInfo>& tensors) {
  std::size_t end = 0;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.offset != end) {
      return tensor_error(StatusCode::kFormat, path, tensor.name, "expected data_offsets to begin at ", end,
                          ", where the data before it ends, given ", tensor.offset,
                          tensor.offset < end ? ": an overlap" : ": a gap");
    }
    end += tensor.bytes;
  }
  if (end == data_bytes) return {};
  return file_error(StatusCode::kFormat, path, "expected the data to end with the last tensor, at ", end, ", given ",
                    data_bytes - end, " more bytes");
}

}  // namespace

struct [[gnu::visibility("hidden")]] SafetensorsFile::State {
  std::string path;
  Mapping mapping;  ///< of `bytes`, unless they belong to the caller
  std::span<const std::byte> bytes;
  std::vector<TensorInfo> tensors;
  Metadata metadata;
  std::vector<std::size_t> by_name;  ///< indices of `tensors`

  Status parse();
};

Status SafetensorsFile::State::parse() {
  std::string_view header;
  EDGEATTN_TRY(split_header(path, bytes, header));
  EDGEATTN_TRY(parse_header(path, header, tensors, metadata));

  std::sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
  });
  for (std::size_t i = 0; i < tensors.size(); ++i) by_name.push_back(i);
  const auto name_of = [this](std::size_t index) -> const std::string& { return tensors[index].name; };
  std::ranges::sort(by_name, {}, name_of);
  const auto twice = std::ranges::adjacent_find(by_name, {}, name_of);
  if (twice != by_name.end()) {
    return tensor_error(StatusCode::kFormat, path, tensors[*twice].name, "expected once, given twice");
  }

  const std::size_t data_begin = kLengthBytes + header.size();
  const std::size_t data_bytes = bytes.size() - data_begin;
  for (TensorInfo& tensor : tensors) EDGEATTN_TRY(check_tensor(path, data_bytes, tensor));
  EDGEATTN_TRY(check_cover(path, data_bytes, tensors));
  for (TensorInfo& tensor : tensors) tensor.offset += data_begin;
  return {};
}

std::size_t TensorInfo::elements() const noexcept {
  std::size_t product = 1;
  for (const std::size_t size : shape) product *= size;
  return product;
}

SafetensorsFile::SafetensorsFile() noexcept = default;
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&&) noexcept = default;
SafetensorsFile::~SafetensorsFile() = default;

Status SafetensorsFile::open(const std::string& path, SafetensorsFile& file) noexcept {
  return guarded(StatusCode::kIo, path, [&]() -> Status {
    auto state = std::make_unique<State>();
    state->path = path;
    EDGEATTN_TRY(Mapping::open(path, state->mapping));
    state->bytes = state->mapping.bytes();
    EDGEATTN_TRY(state->parse());
    file.state_ = std::move(state);
    return {};
  });
}

Status SafetensorsFile::parse(std::span<const std::byte> bytes, std::string_view name, SafetensorsFile& file) noexcept {
  return guarded(StatusCode::kFormat, name, [&]() -> Status {
    auto state = std::make_unique<State>();
    state->path = name;
    state->bytes = bytes;
    EDGEATTN_TRY(state->parse());
    file.state_ = std::move(state);
    return {};
  });
}

const std::string& SafetensorsFile::path() const noexcept {
  static const std::string none;
  return state_ ? state_->path : none;
}

const std::vector<TensorInfo>& SafetensorsFile::tensors() const noexcept {
  static const std::vector<TensorInfo> none;
  return state_ ? state_->tensors : none;
}

const Metadata& SafetensorsFile::metadata() const noexcept {
  static const Metadata none;
  return state_ ? state_->metadata : none;
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const noexcept {
  if (!state_) return nullptr;
  const auto name_of = [this](std::size_t index) -> std::string_view { return state_->tensors[index].name; };
  const auto found = std::ranges::lower_bound(state_->by_name, name, {}, name_of);
  return found == state_->by_name.end() || name_of(*found) != name ? nullptr : &state_->tensors[*found];
}

Status SafetensorsFile::read(const TensorInfo& tensor, std::vector<float>& values) const noexcept {
  return guarded(StatusCode::kFormat, path(), [&]() -> Status {
    const auto fail = [&](StatusCode code, auto... parts) { return tensor_error(code, path(), tensor.name, parts...); };
    const TensorInfo* own = find(tensor.name);
    if (own == nullptr || own->offset != tensor.offset || own->bytes != tensor.bytes ||
        own->dtype_name != tensor.dtype_name) {
      return fail(StatusCode::kInvalidArgument, "is not a tensor of this file");
    }
    const DtypeTraits* dtype = find_dtype(own->dtype_name);
    if (dtype->to_float == nullptr) {
      return fail(StatusCode::kUnsupported, "expected dtype F64, F32, F16 or BF16, given ", own->dtype_name.c_str());
    }
    if (own->bytes == 0) return fail(StatusCode::kInvalidArgument, "expected elements, given a shape with a size of 0");
    std::vector<float> converted(own->bytes / dtype->bytes);
    dtype->to_float(state_->bytes.data() + own->offset, converted.size(), converted.data());
    values = std::move(converted);
    return {};
  });
}

}  // namespace edgeattn::io
