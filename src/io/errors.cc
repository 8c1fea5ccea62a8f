#include "errors.h"

#include <cerrno>

namespace edgeattn::io {
namespace {

constexpr std::string_view kEllipsis = "…";

/// Bytes of the control character or line break that `text` begins with; 0 if it begins with something else.
std::size_t control_bytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x20 || first == 0x7F) return 1;
  const bool c1_control = first == 0xC2 && text.size() > 1 && static_cast<unsigned char>(text[1]) < 0xA0;
  if (c1_control) return 2;
  const bool line_separator = text.starts_with("\u2028") || text.starts_with("\u2029");
  return line_separator ? 3 : 0;
}

bool continues_utf8(char byte) { return (static_cast<unsigned char>(byte) & 0xC0u) == 0x80u; }

}  // namespace

Shown::Shown(std::string_view text) noexcept {
  char* out = text_;
  if (text.size() > kBytes) {
    text.remove_prefix(text.size() - (kBytes - kEllipsis.size()));
    while (!text.empty() && continues_utf8(text[0])) text.remove_prefix(1);
    out += kEllipsis.copy(out, kEllipsis.size());
  }
  while (!text.empty()) {
    std::size_t controls = control_bytes(text);
    if (controls == 0) *out++ = text[0];
    text.remove_prefix(controls == 0 ? 1 : controls);
    for (; controls > 0; --controls) *out++ = '?';
  }
}

Status system_error(StatusCode code, std::string_view path, const char* what, int error) {
  if (error == ENOMEM) code = StatusCode::kOutOfMemory;
  return file_error(code, path, what, ": ", std::generic_category().message(error).c_str());
}

}  // namespace edgeattn::io
