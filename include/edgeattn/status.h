#pragma once

#include <cstddef>
#include <cstdint>

/// Visible outside a shared library; everything else is hidden.
#define EDGEATTN_API [[gnu::visibility("default")]]

namespace edgeattn {

enum class StatusCode : std::uint8_t {
  kOk = 0,
  kInvalidArgument,  ///< a value, shape, pointer or alignment that the call does not accept
  kTooSmall,         ///< a span or a budget is smaller than what is required
  kUnsupported,      ///< valid, but not something this build or this processor does
  kMismatch,         ///< parts that do not belong together: a plan of another machine, weights of another spec
  kGemm,             ///< XNNPACK refused, or packs operands in a layout that is not understood
  kOutOfMemory,      ///< a temporary allocation of plan-time or file code failed
  kNotFound,         ///< a file, a tensor or a block that does not exist
  kIo,               ///< reading or writing a file failed
  kFormat,           ///< a file that breaks the rules of its format
};

/// Stable lower-case name of a code, for logs: "ok", "invalid argument", …
[[nodiscard]] EDGEATTN_API const char* to_string(StatusCode code) noexcept;

/// Outcome of a call: a code and one line that names the argument, what was required and what was given.
/// A plain value of fixed size; never allocates.
class [[nodiscard]] EDGEATTN_API Status {
 public:
  static constexpr std::size_t kMessageBytes = 252;

  constexpr Status() noexcept = default;

  [[nodiscard]] constexpr bool ok() const noexcept { return code_ == StatusCode::kOk; }
  [[nodiscard]] constexpr StatusCode code() const noexcept { return code_; }
  /// Zero-terminated, empty when ok. Longer messages are cut, never overrun.
  [[nodiscard]] const char* message() const noexcept { return message_; }

  /// An error whose message is the concatenation of `parts`: strings and unsigned integers.
  template <class... Parts>
  static Status error(StatusCode code, Parts... parts) noexcept {
    Status status;
    status.code_ = code;
    std::size_t used = 0;
    (status.append(used, parts), ...);
    return status;
  }

 private:
  void append(std::size_t& used, const char* text) noexcept;
  void append(std::size_t& used, std::size_t number) noexcept;

  StatusCode code_ = StatusCode::kOk;
  char message_[kMessageBytes] = {};
};

}  // namespace edgeattn

/// Returns from the calling function when `expression` is an error status.
#define EDGEATTN_TRY(expression)                                    \
  do {                                                              \
    if (::edgeattn::Status status_ = (expression); !status_.ok()) { \
      return status_;                                               \
    }                                                               \
  } while (false)
