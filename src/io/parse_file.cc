#include "parse_file.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>
#include <tuple>

#include "checked.h"
#include "dtype.h"
#include "errors.h"
#include "foreign_file.h"
#include "header.h"

namespace edgeattn::io {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr const char* kCutShort = ": it is cut short, as by a download that broke off";

/// The error of a file of another format, which it names, or else what `otherwise` says.
template <class... Parts>
Status no_safetensors(const std::string& path, const FileBytes& file, Parts... otherwise) {
  const std::string format = foreign_file(file.bytes());
  if (format.empty()) return file_error(StatusCode::kFormat, path, otherwise...);
  return file_error(StatusCode::kFormat, path, "expected a safetensors file, given ", format.c_str());
}

/// Finds the header behind its length.
Status split_header(const std::string& path, FileBytes& file, std::string_view& header) {
  EDGEATTN_TRY(file.fill(path, kForeignBytes));
  if (file.bytes().empty()) return file_error(StatusCode::kFormat, path, "expected a safetensors file, given an empty one");
  if (file.bytes().size() < kLengthBytes)
    return no_safetensors(path, file, "expected 8 bytes of header length, given ", file.bytes().size());
  std::uint64_t length = 0;
  std::memcpy(&length, file.bytes().data(), kLengthBytes);
  if (length > kMostHeaderBytes) {
    return no_safetensors(path, file, "header: expected at most 100000000 bytes, given a length of ",
                          std::to_string(length).c_str(), "; the file begins with ", first_bytes(file.bytes()).c_str());
  }
  const auto bytes = static_cast<std::size_t>(length);
  EDGEATTN_TRY(file.fill(path, kLengthBytes + bytes));
  const std::size_t rest = file.bytes().size() - kLengthBytes;
  const auto* const begin = reinterpret_cast<const char*>(file.bytes().data()) + kLengthBytes;
  if (bytes > rest) {
    const bool cut = rest > 0 && *begin == '{';
    return no_safetensors(path, file, "header: expected within the file, which has ", rest, " bytes for it, given a length of ",
                          bytes, cut ? kCutShort : "");
  }
  header = {begin, bytes};
  if (header.starts_with('{')) return {};
  return no_safetensors(path, file, "header: expected to start with '{', given a file that begins with ",
                        first_bytes(file.bytes()).c_str());
}

/// Checks one tensor by itself: dtype, and bytes against the shape.
Status check_tensor(const std::string& path, TensorInfo& tensor) {
  const auto fail = [&](auto... parts) { return tensor_error(StatusCode::kFormat, path, tensor.name, parts...); };
  const DtypeTraits* dtype = find_dtype(tensor.dtype_name);
  if (dtype == nullptr) return fail("dtype '", Shown(tensor.dtype_name).c_str(), "' is unknown");
  tensor.dtype = dtype->dtype;
  std::size_t elements = 1, expected = 0;
  if (!multiply(elements, tensor.shape) || !dtype->size(elements, expected))
    return fail("shape: the product of its sizes overflows");
  if (!dtype->fills_bytes(elements))
    return fail("expected whole bytes, given ", elements, " elements of ", dtype->bits, " bits (", tensor.dtype_name.c_str(),
                ")");
  if (expected == tensor.bytes) return {};
  return fail("expected ", expected, " bytes for its shape and dtype, given data_offsets of ", tensor.bytes, " bytes");
}

/// Checks that the tensors, in the order of their data, follow each other without overlaps or gaps.
Status check_order(const std::string& path, const std::vector<TensorInfo>& tensors, std::size_t& end) {
  end = 0;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.offset != end) {
      return tensor_error(StatusCode::kFormat, path, tensor.name, "expected data_offsets to begin at ", end,
                          ", where the data before it ends, given ", tensor.offset,
                          tensor.offset < end ? ": an overlap" : ": a gap");
    }
    end += tensor.bytes;
  }
  return {};
}

/// Checks that the file ends where its last tensor does, `data_bytes` behind the header.
Status check_end(const std::string& path, FileBytes& file, std::size_t data_begin, std::size_t data_bytes) {
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
  const std::size_t end = data_bytes < kMost - data_begin ? data_begin + data_bytes : kMost - 1;
  EDGEATTN_TRY(file.fill(path, end + 1));
  const std::size_t given = file.bytes().size();
  if (given < end)
    return file_error(StatusCode::kFormat, path, "expected ", end, " bytes, as its header tells, given ", given, kCutShort);
  if (given == end) return {};
  return file_error(StatusCode::kFormat, path, "expected the data to end with the last tensor, at ", data_bytes, ", given ",
                    file.is_pipe() ? "at least " : "", given - end, " more bytes");
}

}  // namespace

Status parse_file(const std::string& path, FileBytes& file, std::vector<TensorInfo>& tensors, Metadata& metadata) {
  std::string_view header;
  EDGEATTN_TRY(split_header(path, file, header));
  const std::size_t data_begin = kLengthBytes + header.size();
  EDGEATTN_TRY(parse_header(path, header, tensors, metadata));

  std::ranges::sort(tensors, {}, &TensorInfo::name);
  const auto twice = std::ranges::adjacent_find(tensors, {}, &TensorInfo::name);
  if (twice != tensors.end()) return tensor_error(StatusCode::kFormat, path, twice->name, "expected once, given twice");
  std::ranges::sort(tensors, {}, [](const TensorInfo& tensor) { return std::tie(tensor.offset, tensor.bytes, tensor.name); });
  for (TensorInfo& tensor : tensors) EDGEATTN_TRY(check_tensor(path, tensor));
  std::size_t data_bytes = 0;
  EDGEATTN_TRY(check_order(path, tensors, data_bytes));
  EDGEATTN_TRY(check_end(path, file, data_begin, data_bytes));
  for (TensorInfo& tensor : tensors) tensor.offset += data_begin;
  return {};
}

}  // namespace edgeattn::io
