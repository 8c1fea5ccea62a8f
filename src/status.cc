#include "edgeattn/status.h"

namespace edgeattn {
namespace {

bool continues_utf8(char byte) { return (static_cast<unsigned char>(byte) & 0xC0u) == 0x80u; }

}  // namespace

const char* to_string(StatusCode code) noexcept {
  switch (code) {
    case StatusCode::kOk: return "ok";
    case StatusCode::kInvalidArgument: return "invalid argument";
    case StatusCode::kTooSmall: return "too small";
    case StatusCode::kUnsupported: return "unsupported";
    case StatusCode::kMismatch: return "mismatch";
    case StatusCode::kGemm: return "gemm";
    case StatusCode::kOutOfMemory: return "out of memory";
    case StatusCode::kNotFound: return "not found";
    case StatusCode::kIo: return "io";
    case StatusCode::kFormat: return "format";
  }
  return "unknown";
}

void Status::append(std::size_t& used, const char* text) noexcept {
  constexpr std::size_t kLast = kMessageBytes - 1;
  while (*text != '\0' && used < kLast) message_[used++] = *text++;
  if (!continues_utf8(*text)) return;
  // The cut fell inside a character: drop what there is of it, and leave `used` full so that nothing follows.
  std::size_t end = used;
  while (end > used - 3 && continues_utf8(message_[end - 1])) message_[--end] = '\0';
  message_[end - 1] = '\0';
}

void Status::append(std::size_t& used, std::size_t number) noexcept {
  char digits[24] = {};
  char* first = digits + sizeof digits - 1;
  do {
    *--first = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  append(used, first);
}

}  // namespace edgeattn
