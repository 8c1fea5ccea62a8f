#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>

#include "descriptor.h"
#include "edgeattn/status.h"

namespace edgeattn::io {

/// What a pipe may hold, because it is read into memory.
inline constexpr std::size_t kMostPipedBytes = sizeof(std::size_t) < 8 ? std::size_t{1} << 29 : std::size_t{1} << 32;

struct Unmap {
  std::size_t bytes = 0;
  void operator()(std::byte* begin) const noexcept;
};
struct Free {
  void operator()(std::byte* begin) const noexcept { std::free(begin); }
};

/// The bytes of a file. A regular one is mapped, read-only, and paged in by the system as it is touched; a pipe, and a file that
/// the system does not map, is read into memory as far as it is asked for.
class FileBytes {
 public:
  enum class Pipes { kRefused, kRead };

  FileBytes() noexcept = default;
  /// Bytes of the caller's.
  explicit FileBytes(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}

  /// kNotFound; kIo for what cannot be opened and for what is neither a regular file nor, where they are read, a pipe. A FIFO
  /// waits for a writer.
  static Status open(const std::string& path, Pipes pipes, FileBytes& file);

  /// Reads on until there are `count` bytes or no more come; then what bytes() gave before is gone. Does nothing for bytes that
  /// are all there, mapped or the caller's. kIo when reading fails, and for more of a pipe than kMostPipedBytes.
  Status fill(const std::string& path, std::size_t count);

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool is_pipe() const noexcept { return is_pipe_; }

 private:
  Status read_some(const std::string& path, std::size_t count);

  std::span<const std::byte> bytes_;
  std::unique_ptr<std::byte[], Unmap> mapping_;
  Descriptor source_;  ///< of what is read, until its end
  bool is_pipe_ = false;
  std::unique_ptr<std::byte[], Free> memory_;
  std::size_t capacity_ = 0;
};

}  // namespace edgeattn::io
