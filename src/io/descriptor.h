#pragma once

#include <unistd.h>

#include <utility>

namespace edgeattn::io {

/// An open file descriptor, or none.
class Descriptor {
 public:
  explicit Descriptor(int value = -1) noexcept : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() { static_cast<void>(close()); }

  [[nodiscard]] bool is_open() const noexcept { return value_ >= 0; }
  [[nodiscard]] int get() const noexcept { return value_; }
  /// False, with errno, when the system reports an error of an earlier write only now.
  bool close() noexcept { return !is_open() || ::close(std::exchange(value_, -1)) == 0; }

 private:
  int value_;
};

}  // namespace edgeattn::io
