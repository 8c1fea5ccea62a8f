#pragma once

#include <cstddef>
#include <exception>
#include <new>
#include <string_view>
#include <system_error>

#include "edgeattn/status.h"
#include "float_scope.h"

namespace edgeattn::io {

/// A user's string made fit for a message of one line: control characters become '?', and what is too long loses its
/// start to '…'. Uses no heap.
class Shown {
 public:
  explicit Shown(std::string_view text) noexcept;
  [[nodiscard]] const char* c_str() const noexcept { return text_; }

 private:
  static constexpr std::size_t kBytes = 72;
  char text_[kBytes + 1] = {};
};

/// `path: parts…`
template <class... Parts>
Status file_error(StatusCode code, std::string_view path, Parts... parts) noexcept {
  return Status::error(code, Shown(path).c_str(), ": ", parts...);
}

/// `path: tensor 'name': parts…`
template <class... Parts>
Status tensor_error(StatusCode code, std::string_view path, std::string_view tensor, Parts... parts) noexcept {
  return file_error(code, path, "tensor '", Shown(tensor).c_str(), "': ", parts...);
}

/// `path: what: reason`, with the reason of an errno; kOutOfMemory for ENOMEM.
Status system_error(StatusCode code, std::string_view path, const char* what, int error);

/// Returns what `body` returns, whose arithmetic meets no traps of the host; exceptions become statuses: kOutOfMemory, or `otherwise` for any but std::bad_alloc.
template <class Body>
Status guarded(StatusCode otherwise, std::string_view path, Body&& body) noexcept {
  const FloatScope scope(Denormals::kKept);
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return file_error(StatusCode::kOutOfMemory, path, "out of memory");
  } catch (const std::exception& exception) {
    return file_error(otherwise, path, exception.what());
  } catch (...) {
    return file_error(otherwise, path, "unknown exception");
  }
}

}  // namespace edgeattn::io
