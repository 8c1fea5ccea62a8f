#include "signals.h"

#include <ctime>

namespace edgeattn::io {
namespace {

sigset_t set_of(std::initializer_list<int> signals) noexcept {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : signals) ::sigaddset(&set, signal);
  return set;
}

}  // namespace

SignalsBlocked::SignalsBlocked(std::initializer_list<int> signals) noexcept {
  const sigset_t set = set_of(signals);
  ::pthread_sigmask(SIG_BLOCK, &set, &old_mask_);
}

WriteSignalDropped::WriteSignalDropped(int signal) noexcept : signal_(signal), blocked_{signal} {
  sigset_t pending;
  ::sigpending(&pending);
  was_pending_ = ::sigismember(&pending, signal) == 1;
}

WriteSignalDropped::~WriteSignalDropped() {
  const sigset_t set = set_of({signal_});
  const timespec no_wait{};
  if (!was_pending_) static_cast<void>(::sigtimedwait(&set, nullptr, &no_wait));
}

}  // namespace edgeattn::io
