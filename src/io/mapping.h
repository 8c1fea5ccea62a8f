#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "edgeattn/status.h"

namespace edgeattn::io {

struct Unmap {
  std::size_t bytes = 0;
  void operator()(std::byte* begin) const noexcept;
};

/// A whole file in memory, read-only, paged in by the system as it is touched.
class Mapping {
 public:
  /// kNotFound; kIo for what cannot be opened and for anything but a regular file.
  static Status open(const std::string& path, Mapping& mapping);

  /// Empty for an empty file.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return {begin_.get(), begin_ ? begin_.get_deleter().bytes : 0};
  }

 private:
  std::unique_ptr<std::byte[], Unmap> begin_;
};

}  // namespace edgeattn::io
