#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

namespace edgeattn::cli {

/// While it lives, a line on standard error that counts the seconds from the first one on; cleared at the end. Does
/// nothing unless standard error is a terminal.
class Progress {
 public:
  Progress();

 private:
  std::mutex mutex_;
  std::condition_variable_any stopped_;
  std::optional<std::jthread> watcher_;
};

}  // namespace edgeattn::cli
