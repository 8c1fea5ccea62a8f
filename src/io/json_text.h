#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

/// JSON put together as text. nlohmann's library writes single values only: what destroys its arrays and objects allocates, and
/// ends the process where there is no memory.
namespace edgeattn::io {

/// A string, number or boolean; a number that is not finite is null. Throws for a string that is not UTF-8.
template <class Value>
std::string json_value(const Value& value) {
  return nlohmann::json(value).dump();
}

/// `[…]` of what `to_json` makes of each value.
template <class Values, class ToJson>
std::string json_array(const Values& values, ToJson to_json) {
  std::string text;
  for (const auto& value : values) {
    text += text.empty() ? '[' : ',';
    text += to_json(value);
  }
  return text.empty() ? "[]" : text + ']';
}
template <class Values>
std::string json_array(const Values& values) {
  return json_array(values, [](const auto& value) { return json_value(value); });
}

/// `{…}`, its members in the order in which they are added.
class JsonObject {
 public:
  template <class Value>
  JsonObject& add(std::string_view key, const Value& value) {
    return add_json(key, json_value(value));
  }
  /// A value that is JSON already.
  JsonObject& add_json(std::string_view key, std::string_view json) {
    text_ += text_.empty() ? '{' : ',';
    text_ += json_value(key);
    text_ += ':';
    text_ += json;
    return *this;
  }

  [[nodiscard]] std::string text() const { return text_.empty() ? "{}" : text_ + '}'; }

 private:
  std::string text_;
};

}  // namespace edgeattn::io
