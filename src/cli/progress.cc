#include "cli/progress.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>

namespace edgeattn::cli {

Progress::Progress() {
  if (isatty(STDERR_FILENO) == 0) return;
  watcher_.emplace([this](const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    unsigned seconds = 0;
    while (!stopped_.wait_for(lock, stop, std::chrono::seconds(1), [&] { return stop.stop_requested(); }))
      std::fprintf(stderr, "\redgeattn: running… %u s", ++seconds);
    if (seconds > 0) std::fputs("\r\033[K", stderr);
  });
}

}  // namespace edgeattn::cli
