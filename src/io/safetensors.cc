#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "after_last.h"
#include "dtype.h"
#include "edgeattn/io.h"
#include "errors.h"
#include "file_bytes.h"
#include "foreign_file.h"
#include "index.h"
#include "parse_file.h"
#include "scale_key.h"

namespace edgeattn::io {
struct [[gnu::visibility("hidden")]] SafetensorsFile::State {
  std::string path;
  std::vector<std::string> files;
  std::vector<FileBytes> contents;  ///< of `files`
  std::vector<TensorInfo> tensors;
  Metadata metadata;
  std::vector<std::size_t> by_name;  ///< indices of `tensors`

  Status open();
  Status parse(std::span<const std::byte> bytes);
  [[nodiscard]] const TensorInfo* find(std::string_view name) const noexcept;
  /// Of the scales of a tensor of 8-bit floats, the first; null when its numbers are what they say.
  [[nodiscard]] const TensorInfo* scale_of(const TensorInfo& tensor) const noexcept;

 private:
  Status open_shards();
  Status add_shard(const std::string& shard, const std::string& tensor);
  Status check_shards(const std::vector<IndexEntry>& entries);
  void sort_names();
};

Status SafetensorsFile::State::open() {
  files.push_back(path);
  EDGEATTN_TRY(FileBytes::open(path, FileBytes::Pipes::kRead, contents.emplace_back()));
  EDGEATTN_TRY(contents[0].fill(path, kForeignBytes));
  if (is_json_object(contents[0].bytes())) return open_shards();
  EDGEATTN_TRY(parse_file(path, contents[0], tensors, metadata));
  sort_names();
  return {};
}

Status SafetensorsFile::State::parse(std::span<const std::byte> bytes) {
  files.push_back(path);
  EDGEATTN_TRY(parse_file(path, contents.emplace_back(bytes), tensors, metadata));
  sort_names();
  return {};
}

Status SafetensorsFile::State::open_shards() {
  if (contents[0].is_pipe())
    return file_error(StatusCode::kIo, path,
                      "expected a safetensors file, given JSON: the index of a sharded model is read from a file ",
                      "beside its shards, not from a pipe");
  EDGEATTN_TRY(contents[0].fill(path, kMostHeaderBytes + 1));
  const std::span<const std::byte> bytes = contents[0].bytes();
  if (bytes.size() > kMostHeaderBytes)
    return file_error(StatusCode::kFormat, path, "index: expected at most ", kMostHeaderBytes, " bytes, given ", bytes.size());
  std::vector<IndexEntry> entries;
  EDGEATTN_TRY(parse_index(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, entries));

  std::vector<const IndexEntry*> by_shard;
  by_shard.reserve(entries.size());
  for (const IndexEntry& entry : entries) by_shard.push_back(&entry);
  std::ranges::sort(by_shard, {}, [](const IndexEntry* entry) { return std::tie(entry->shard, entry->tensor); });
  for (std::size_t i = 0; i < by_shard.size(); ++i)
    if (i == 0 || by_shard[i]->shard != by_shard[i - 1]->shard) EDGEATTN_TRY(add_shard(by_shard[i]->shard, by_shard[i]->tensor));
  sort_names();
  return check_shards(entries);
}

/// @param tensor  one that the index says is there
Status SafetensorsFile::State::add_shard(const std::string& shard, const std::string& tensor) {
  const std::string& name = files.emplace_back(path.substr(0, after_last(path, '/')) + shard);
  FileBytes& content = contents.emplace_back();
  const Status opened = FileBytes::open(name, FileBytes::Pipes::kRefused, content);
  if (opened.code() == StatusCode::kNotFound)
    return tensor_error(StatusCode::kNotFound, path, tensor, "its shard '", Shown(shard).c_str(), "' is missing");
  EDGEATTN_TRY(opened);
  std::vector<TensorInfo> found;
  Metadata pairs;
  EDGEATTN_TRY(parse_file(name, content, found, pairs));
  for (TensorInfo& info : found) {
    info.file = files.size() - 1;
    tensors.push_back(std::move(info));
  }
  // What only some shards say does not hold for the model.
  if (files.size() == 2) metadata = std::move(pairs);
  else std::erase_if(metadata, [&](const auto& pair) { return !std::ranges::binary_search(pairs, pair); });
  return {};
}

/// Checks that index and shards name the same tensors, each in one place.
Status SafetensorsFile::State::check_shards(const std::vector<IndexEntry>& entries) {
  const auto fail = [&](const std::string& tensor, auto... parts) {
    return tensor_error(StatusCode::kFormat, path, tensor, parts...);
  };
  const auto name_of = [this](std::size_t file) { return files[file].substr(after_last(files[file], '/')); };
  for (std::size_t i = 1; i < by_name.size(); ++i) {
    const TensorInfo &first = tensors[by_name[i - 1]], &second = tensors[by_name[i]];
    if (first.name == second.name)
      return fail(first.name, "is in two shards, '", Shown(name_of(first.file)).c_str(), "' and '",
                  Shown(name_of(second.file)).c_str(), "'");
  }
  for (const IndexEntry& entry : entries) {
    const TensorInfo* const found = find(entry.tensor);
    if (found == nullptr || name_of(found->file) != entry.shard)
      return fail(entry.tensor, "is missing from its shard '", Shown(entry.shard).c_str(), "'");
  }
  for (const TensorInfo& tensor : tensors)
    if (!std::ranges::binary_search(entries, tensor.name, {}, &IndexEntry::tensor))
      return fail(tensor.name, "is in the shard '", Shown(name_of(tensor.file)).c_str(), "', but not in weight_map");
  return {};
}

void SafetensorsFile::State::sort_names() {
  for (std::size_t i = 0; i < tensors.size(); ++i) by_name.push_back(i);
  std::ranges::sort(by_name, {}, [this](std::size_t index) -> const std::string& { return tensors[index].name; });
}

const TensorInfo* SafetensorsFile::State::find(std::string_view name) const noexcept {
  const auto name_of = [this](std::size_t index) -> std::string_view { return tensors[index].name; };
  const auto found = std::ranges::lower_bound(by_name, name, {}, name_of);
  return found == by_name.end() || name_of(*found) != name ? nullptr : &tensors[*found];
}

const TensorInfo* SafetensorsFile::State::scale_of(const TensorInfo& tensor) const noexcept {
  if (tensor.dtype != Dtype::kF8E4m3 && tensor.dtype != Dtype::kF8E5m2) return nullptr;
  const auto found =
      std::ranges::find_if(tensors, [&](const TensorInfo& other) { return is_scale_key(other.name, tensor.name); });
  return found == tensors.end() ? nullptr : &*found;
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
    EDGEATTN_TRY(state->open());
    file.state_ = std::move(state);
    return {};
  });
}

Status SafetensorsFile::parse(std::span<const std::byte> bytes, std::string_view name, SafetensorsFile& file) noexcept {
  return guarded(StatusCode::kFormat, name, [&]() -> Status {
    auto state = std::make_unique<State>();
    state->path = name;
    EDGEATTN_TRY(state->parse(bytes));
    file.state_ = std::move(state);
    return {};
  });
}

const std::string& SafetensorsFile::path() const noexcept {
  static const std::string none;
  return state_ ? state_->path : none;
}

const std::vector<std::string>& SafetensorsFile::files() const noexcept {
  static const std::vector<std::string> none;
  return state_ ? state_->files : none;
}

const std::vector<TensorInfo>& SafetensorsFile::tensors() const noexcept {
  static const std::vector<TensorInfo> none;
  return state_ ? state_->tensors : none;
}

const Metadata& SafetensorsFile::metadata() const noexcept {
  static const Metadata none;
  return state_ ? state_->metadata : none;
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const noexcept { return state_ ? state_->find(name) : nullptr; }

Status SafetensorsFile::read(const TensorInfo& tensor, std::vector<float>& values) const noexcept {
  return guarded(StatusCode::kFormat, path(), [&]() -> Status {
    const TensorInfo* own = find(tensor.name);
    const auto fail = [&](StatusCode code, auto... parts) {
      return tensor_error(code, own == nullptr ? path() : files()[own->file], tensor.name, parts...);
    };
    if (own == nullptr || own->offset != tensor.offset || own->bytes != tensor.bytes || own->file != tensor.file ||
        own->dtype_name != tensor.dtype_name) {
      return fail(StatusCode::kInvalidArgument, "is not a tensor of this file");
    }
    const DtypeTraits* dtype = find_dtype(own->dtype_name);
    if (dtype->to_float == nullptr) {
      return fail(StatusCode::kUnsupported, "expected dtype F64, F32, F16, BF16, F8_E4M3 or F8_E5M2, given ",
                  own->dtype_name.c_str());
    }
    if (const TensorInfo* const scale = state_->scale_of(*own)) {
      return fail(StatusCode::kUnsupported, "is ", own->dtype_name.c_str(), " with the scale '", Shown(scale->name).c_str(),
                  "', which is not applied: convert it to F16 or BF16");
    }
    if (own->bytes == 0) return fail(StatusCode::kInvalidArgument, "expected elements, given a shape with a size of 0");
    std::vector<float> converted(own->elements());
    dtype->to_float(state_->contents[own->file].bytes().data() + own->offset, converted.size(), converted.data());
    values = std::move(converted);
    return {};
  });
}

}  // namespace edgeattn::io
