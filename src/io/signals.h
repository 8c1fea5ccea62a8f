#pragma once

#include <signal.h>

#include <initializer_list>

namespace edgeattn::io {

/// While it lives, these signals do not reach the calling thread. What the process was sent meanwhile comes when it ends.
class SignalsBlocked {
 public:
  SignalsBlocked(std::initializer_list<int> signals) noexcept;
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &old_mask_, nullptr); }

 private:
  sigset_t old_mask_{};
};

/// While it lives, what the system sends a thread with a failed write, to end the process, is only the error of that write:
/// SIGPIPE for a pipe that nobody reads, SIGXFSZ for a file past the limit.
class WriteSignalDropped {
 public:
  explicit WriteSignalDropped(int signal) noexcept;
  WriteSignalDropped(const WriteSignalDropped&) = delete;
  WriteSignalDropped& operator=(const WriteSignalDropped&) = delete;
  ~WriteSignalDropped();

 private:
  int signal_;
  SignalsBlocked blocked_;
  bool was_pending_ = false;
};

}  // namespace edgeattn::io
