#include "progress.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace sampler {
namespace {

constexpr std::size_t kWidth = 40;

/// Past the buffer of standard error, which might be allocated when it is first used. A bar that cannot be written is no loss.
void write_text(const char* text, std::size_t bytes) noexcept {
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text, bytes);
}

}  // namespace

Progress::Progress(std::size_t steps) noexcept : steps_(steps), terminal_(isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() {
  if (terminal_) write_text("\r\033[K", 4);
}

void Progress::show(std::size_t done) const noexcept {
  if (!terminal_) return;
  std::array<char, kWidth + 1> bar{};
  std::fill_n(bar.begin(), kWidth, '.');
  std::fill_n(bar.begin(), done * kWidth / steps_, '#');
  std::array<char, 128> line;
  const int bytes = std::snprintf(line.data(), line.size(), "\rdrawing [%s] %zu of %zu steps", bar.data(), done, steps_);
  if (bytes > 0) write_text(line.data(), std::min(static_cast<std::size_t>(bytes), line.size() - 1));
}

}  // namespace sampler
