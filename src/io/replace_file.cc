#include "replace_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <initializer_list>
#include <memory>
#include <utility>

#include "descriptor.h"
#include "errors.h"

namespace edgeattn::io {
namespace {

constexpr mode_t kPermissions = 0777;
constexpr mode_t kNewFileMode = 0666;  // the umask takes from it

/// While it lives, these signals do not reach the calling thread. What the process was sent meanwhile comes when it ends.
class SignalsBlocked {
 public:
  SignalsBlocked(std::initializer_list<int> signals) noexcept {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : signals) ::sigaddset(&set, signal);
    ::pthread_sigmask(SIG_BLOCK, &set, &old_mask_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &old_mask_, nullptr); }

 private:
  sigset_t old_mask_{};
};

/// While it lives, writing to a pipe that nobody reads is an error of this thread, not a signal that ends the process.
class PipeSignalDropped {
 public:
  PipeSignalDropped() noexcept {
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
  }
  PipeSignalDropped(const PipeSignalDropped&) = delete;
  PipeSignalDropped& operator=(const PipeSignalDropped&) = delete;
  ~PipeSignalDropped() {
    sigset_t pipe;
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    const timespec no_wait{};
    if (!was_pending_) static_cast<void>(::sigtimedwait(&pipe, nullptr, &no_wait));
  }

 private:
  SignalsBlocked blocked_{SIGPIPE};
  bool was_pending_ = false;
};

/// A file that is removed again unless it is renamed.
class TemporaryFile {
 public:
  TemporaryFile() = default;
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!name_.empty()) ::unlink(name_.c_str());
  }

  /// Creates it in `folder` ("" or with a slash at its end). False with errno.
  bool create(const std::string& folder, mode_t mode) {
    constexpr int kAttempts = 1000;
    const std::string stem = folder + ".edgeattn-" + std::to_string(::getpid()) + '-';
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      std::string name = stem + std::to_string(attempt) + ".tmp";
      file_ = Descriptor(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
      if (file_.is_open()) {
        name_ = std::move(name);
        return true;
      }
      if (errno != EEXIST) return false;
    }
    return false;
  }

  [[nodiscard]] int descriptor() const noexcept { return file_.get(); }

  /// False with errno.
  bool rename(const std::string& target) {
    if (!file_.close() || std::rename(name_.c_str(), target.c_str()) != 0) return false;
    name_.clear();
    return true;
  }

 private:
  std::string name_;
  Descriptor file_;
};

/// 0 or an errno.
int write_all(int descriptor, std::span<const Bytes> parts) {
  for (Bytes part : parts) {
    while (!part.empty()) {
      const ssize_t written = ::write(descriptor, part.data(), part.size());
      if (written > 0) {
        part = part.subspan(static_cast<std::size_t>(written));
      } else if (written == 0) {
        return EIO;
      } else if (errno != EINTR) {
        return errno;
      }
    }
  }
  return 0;
}

/// 0 or an errno.
int write_directly(const std::string& path, std::span<const Bytes> parts) {
  const PipeSignalDropped dropped;
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (!file.is_open()) return errno;
  if (const int error = write_all(file.get(), parts)) return error;
  return file.close() ? 0 : errno;
}

/// 0 or an errno.
/// @param old  of the regular file at `target`; null when there is none
int write_and_rename(const std::string& target, const struct stat* old, std::span<const Bytes> parts) {
  if (old != nullptr && ::access(target.c_str(), W_OK) != 0) return errno;
  const mode_t mode = old != nullptr ? old->st_mode & kPermissions : kNewFileMode;
  const SignalsBlocked blocked{SIGHUP, SIGINT, SIGTERM};
  TemporaryFile temporary;
  if (!temporary.create(target.substr(0, target.rfind('/') + 1), mode)) return errno;
  if (const int error = write_all(temporary.descriptor(), parts)) return error;
  if (old != nullptr && ::fchmod(temporary.descriptor(), mode) != 0) return errno;
  return temporary.rename(target) ? 0 : errno;
}

/// 0 or an errno.
int replace(const std::string& path, std::span<const Bytes> parts) {
  struct stat old {};
  if (::stat(path.c_str(), &old) == 0) {
    if (!S_ISREG(old.st_mode)) return write_directly(path, parts);
    const std::unique_ptr<char, decltype(&std::free)> target(::realpath(path.c_str(), nullptr), &std::free);
    return target ? write_and_rename(target.get(), &old, parts) : errno;
  }
  if (errno != ENOENT) return errno;
  const bool dangling_link = ::lstat(path.c_str(), &old) == 0;
  return path.empty() || dangling_link ? ENOENT : write_and_rename(path, nullptr, parts);
}

}  // namespace

Status replace_file(const std::string& path, std::span<const Bytes> parts) {
  if (path.find('\0') != std::string::npos)
    return file_error(StatusCode::kIo, path, "cannot write: no path holds a zero byte");
  const int error = replace(path, parts);
  return error == 0 ? Status() : system_error(StatusCode::kIo, path, "cannot write", error);
}

}  // namespace edgeattn::io
