#pragma once

#include <stdlib.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace edgeattn::test {

/// A folder of its own, removed with all that is in it.
class TempDirectory {
 public:
  TempDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "edgeattn-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const { return (path_ / name).string(); }
  [[nodiscard]] std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

inline void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

template <class T>
std::string little_endian(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// A safetensors file with that header, right or wrong, and that data.
inline std::string safetensors(std::string_view header, std::string_view data = {}) {
  return little_endian(std::uint64_t{header.size()}).append(header).append(data);
}

/// The header of a good file of one tensor with 8 bytes of data, which hostile ones are variations of.
inline const std::string kGoodHeader = R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";

/// The header of one tensor `x` from the text of its fields.
inline std::string tensor(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return std::string(R"({"x":{"dtype":)").append(dtype) + ",\"shape\":" + std::string(shape) +
         ",\"data_offsets\":" + std::string(offsets) + "}}";
}

inline std::string zeros(std::size_t bytes) { return std::string(bytes, '\0'); }

}  // namespace edgeattn::test
