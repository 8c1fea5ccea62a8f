#include "index.h"

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <utility>

#include "errors.h"

namespace edgeattn::io {
namespace {

using Json = nlohmann::json;

/// Takes the weight_map out of the JSON, piece by piece. All else is passed over, however deep, and must be JSON only.
class IndexReader final : public nlohmann::json_sax<Json> {
 public:
  IndexReader(std::string_view path, std::vector<IndexEntry>& entries) : path_(path), entries_(entries) {}

  [[nodiscard]] const Status& status() const { return status_; }
  [[nodiscard]] bool has_map() const { return has_map_; }

  bool null() override { return other(); }
  bool boolean(bool) override { return other(); }
  bool number_integer(number_integer_t) override { return other(); }
  bool number_unsigned(number_unsigned_t) override { return other(); }
  bool number_float(number_float_t, const string_t&) override { return other(); }
  bool binary(binary_t&) override { return other(); }

  bool string(string_t& text) override {
    if (!in_map()) return other();
    entries_.back().shard = std::move(text);
    return true;
  }

  bool start_object(std::size_t) override {
    if (depth_ == 1 && at_map_) in_map_ = true;
    else if (!other()) return false;
    ++depth_;
    return true;
  }

  bool end_object() override {
    --depth_;
    if (depth_ == 1) in_map_ = false;
    return true;
  }

  bool start_array(std::size_t) override {
    if (!other()) return false;
    ++depth_;
    return true;
  }

  bool end_array() override {
    --depth_;
    return true;
  }

  bool key(string_t& name) override {
    if (in_map()) entries_.push_back({name, {}});
    if (depth_ != 1) return true;
    at_map_ = name == "weight_map";
    if (!at_map_ || !std::exchange(has_map_, true)) return true;
    return fail(file_error(StatusCode::kFormat, path_, "expected weight_map once, given twice"));
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return fail(file_error(StatusCode::kFormat, path_, "index: expected JSON, but byte ", position, " breaks its rules"));
  }

 private:
  [[nodiscard]] bool in_map() const { return in_map_ && depth_ == 2; }

  bool fail(const Status& status) {
    status_ = status;
    return false;
  }

  /// A value that is no shard's name: an error where one belongs.
  bool other() {
    if (in_map_) {
      return fail(
          tensor_error(StatusCode::kFormat, path_, entries_.back().tensor, "expected in weight_map the name of its shard"));
    }
    if (depth_ == 1 && at_map_) return fail(file_error(StatusCode::kFormat, path_, "expected as weight_map an object"));
    return true;
  }

  std::string_view path_;
  std::vector<IndexEntry>& entries_;
  Status status_;
  std::size_t depth_ = 0;  ///< of objects and arrays that are open
  bool at_map_ = false;    ///< the outermost key that came last is weight_map
  bool in_map_ = false;
  bool has_map_ = false;
};

/// An index comes from a stranger: it must open nothing but files beside it.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

}  // namespace

Status parse_index(std::string_view path, std::string_view json, std::vector<IndexEntry>& entries) {
  if (const auto zero = json.find('\0'); zero != std::string_view::npos)
    return file_error(StatusCode::kFormat, path, "index: expected JSON, given a zero byte at byte ", zero);
  IndexReader reader(path, entries);
  Json::sax_parse(json.begin(), json.end(), &reader);
  EDGEATTN_TRY(reader.status());
  if (!reader.has_map())
    return file_error(StatusCode::kFormat, path, "expected a safetensors file, or an index with a weight_map, given a JSON file");
  if (entries.empty()) return file_error(StatusCode::kFormat, path, "expected tensors in weight_map, given none");
  std::ranges::sort(entries, {}, &IndexEntry::tensor);
  const auto twice = std::ranges::adjacent_find(entries, {}, &IndexEntry::tensor);
  if (twice != entries.end())
    return tensor_error(StatusCode::kFormat, path, twice->tensor, "expected in weight_map once, given twice");
  for (const IndexEntry& entry : entries)
    if (!is_plain_name(entry.shard))
      return tensor_error(StatusCode::kFormat, path, entry.tensor, "expected as shard a file beside the index, given '",
                          Shown(entry.shard).c_str(), "'");
  return {};
}

}  // namespace edgeattn::io
