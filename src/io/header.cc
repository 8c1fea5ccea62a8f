#include "header.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "errors.h"

namespace edgeattn::io {
namespace {

using Json = nlohmann::json;

/// Receives the header's JSON piece by piece (nlohmann's SAX interface). It goes no deeper than numbers in the array of
/// a tensor, so nesting costs nothing; a callback that returns false ends the parse, with the reason in status().
class HeaderReader final : public nlohmann::json_sax<Json> {
 public:
  HeaderReader(std::string_view path, std::vector<TensorInfo>& tensors, Metadata& metadata)
      : path_(path), tensors_(tensors), metadata_(metadata) {}

  [[nodiscard]] const Status& status() const { return status_; }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return unexpected("a fraction or too large a number"); }
  bool binary(binary_t&) override { return unexpected("binary"); }

  bool number_unsigned(number_unsigned_t number) override {
    if (level_ != Level::kArray) return unexpected("a number");
    if (!std::in_range<std::size_t>(number)) return unexpected("too large a number");
    (field_ == kShape ? tensors_.back().shape : offsets_).push_back(static_cast<std::size_t>(number));
    return true;
  }

  bool string(string_t& text) override {
    if (level_ == Level::kMetadata) {
      metadata_.back().second = std::move(text);
      return true;
    }
    if (level_ != Level::kTensor || field_ != kDtype) return unexpected("a string");
    tensors_.back().dtype_name = std::move(text);
    return true;
  }

  bool start_object(std::size_t) override {
    switch (level_) {
      case Level::kStart: level_ = Level::kHeader; return true;
      case Level::kHeader: level_ = in_metadata_ ? Level::kMetadata : Level::kTensor; return true;
      default: return unexpected("an object");
    }
  }

  bool end_object() override {
    const Level ended = std::exchange(level_, Level::kHeader);
    if (ended == Level::kTensor) return end_tensor();
    return ended != Level::kMetadata || end_metadata();
  }

  bool start_array(std::size_t) override {
    if (level_ != Level::kTensor || field_ == kDtype) return unexpected("an array");
    level_ = Level::kArray;
    return true;
  }

  bool end_array() override {
    level_ = Level::kTensor;
    return true;
  }

  bool key(string_t& name) override {
    switch (level_) {
      case Level::kHeader: return begin_entry(name);
      case Level::kMetadata: metadata_.emplace_back(std::move(name), std::string()); return true;
      default: return begin_field(name);
    }
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return fail(
        file_error(StatusCode::kFormat, path_, "header: expected JSON, but byte ", position, " breaks its rules"));
  }

 private:
  enum class Level { kStart, kHeader, kMetadata, kTensor, kArray };
  enum Field : std::size_t { kDtype, kShape, kOffsets, kFields };
  static constexpr const char* kFieldNames[kFields] = {"dtype", "shape", "data_offsets"};

  bool fail(const Status& status) {
    status_ = status;
    return false;
  }

  template <class... Parts>
  bool fail_tensor(Parts... parts) {
    return fail(tensor_error(StatusCode::kFormat, path_, tensors_.back().name, parts...));
  }

  bool unexpected(const char* given) {
    if (in_metadata_) {
      const char* expected = level_ == Level::kMetadata ? "string values" : "an object";
      return fail(file_error(StatusCode::kFormat, path_, kMetadataKey, ": expected ", expected, ", given ", given));
    }
    if (level_ == Level::kHeader) return fail_tensor("expected an object, given ", given);
    const char* expected = level_ == Level::kArray ? " numbers, integers from 0 on, given "
                           : field_ == kDtype      ? " a string, given "
                                                   : " an array, given ";
    return fail_tensor("expected as ", kFieldNames[field_], expected, given);
  }

  bool begin_entry(std::string& name) {
    in_metadata_ = name == kMetadataKey;
    if (!in_metadata_) {
      tensors_.push_back({.name = std::move(name), .dtype_name = {}, .shape = {}});
      std::fill(std::begin(seen_), std::end(seen_), false);
      offsets_.clear();
      return true;
    }
    if (std::exchange(metadata_seen_, true)) {
      return fail(file_error(StatusCode::kFormat, path_, kMetadataKey, ": expected once, given twice"));
    }
    return true;
  }

  bool begin_field(const std::string& name) {
    const auto* found = std::find(std::begin(kFieldNames), std::end(kFieldNames), name);
    if (found == std::end(kFieldNames)) {
      return fail_tensor("expected dtype, shape and data_offsets, given '", Shown(name).c_str(), "'");
    }
    field_ = static_cast<Field>(found - std::begin(kFieldNames));
    if (std::exchange(seen_[field_], true)) return fail_tensor("expected ", *found, " once, given twice");
    return true;
  }

  bool end_tensor() {
    for (std::size_t field = 0; field < kFields; ++field) {
      if (!seen_[field]) return fail_tensor("expected ", kFieldNames[field], ", which is missing");
    }
    if (offsets_.size() != 2) return fail_tensor("expected 2 data_offsets, given ", offsets_.size());
    if (offsets_[1] < offsets_[0]) {
      return fail_tensor("expected data_offsets in order, given [", offsets_[0], ", ", offsets_[1], "]");
    }
    tensors_.back().offset = offsets_[0];
    tensors_.back().bytes = offsets_[1] - offsets_[0];
    return true;
  }

  bool end_metadata() {
    std::sort(metadata_.begin(), metadata_.end());
    const auto twice = std::ranges::adjacent_find(metadata_, {}, &Metadata::value_type::first);
    if (twice == metadata_.end()) return true;
    return fail(file_error(StatusCode::kFormat, path_, kMetadataKey, ": expected key '", Shown(twice->first).c_str(),
                           "' once, given twice"));
  }

  std::string_view path_;
  std::vector<TensorInfo>& tensors_;
  Metadata& metadata_;
  Status status_;

  Level level_ = Level::kStart;
  bool in_metadata_ = false;  // the entry that was begun last
  bool metadata_seen_ = false;
  Field field_ = kDtype;
  bool seen_[kFields] = {};
  std::vector<std::size_t> offsets_;
};

}  // namespace

Status parse_header(std::string_view path, std::string_view json, std::vector<TensorInfo>& tensors,
                    Metadata& metadata) {
  if (!json.starts_with('{')) return file_error(StatusCode::kFormat, path, "header: expected to start with '{'");
  json = json.substr(0, json.find_last_not_of(' ') + 1);
  if (!json.ends_with('}')) return file_error(StatusCode::kFormat, path, "header: expected to end with '}' and spaces");
  // nlohmann takes a zero byte for the end of the text.
  if (const auto zero = json.find('\0'); zero != std::string_view::npos) {
    return file_error(StatusCode::kFormat, path, "header: expected JSON, given a zero byte at byte ", zero);
  }
  HeaderReader reader(path, tensors, metadata);
  Json::sax_parse(json.begin(), json.end(), &reader);
  return reader.status();
}

}  // namespace edgeattn::io
