#include "replace_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <string_view>
#include <utility>

#include "after_last.h"
#include "descriptor.h"
#include "errors.h"
#include "signals.h"

namespace edgeattn::io {
namespace {

constexpr mode_t kPermissions = 0777;
constexpr mode_t kNewFileMode = 0666;  // the umask takes from it

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
      } else if (errno == EAGAIN) {  // somebody's pipe that does not wait
        pollfd writable{.fd = descriptor, .events = POLLOUT, .revents = 0};
        if (::poll(&writable, 1, -1) < 0 && errno != EINTR) return errno;
      } else if (errno != EINTR) {
        return errno;
      }
    }
  }
  return 0;
}

/// The descriptor of this process that a path names, as /dev/stdout and /proc/self/fd/3 do; -1 for others. Such a path is not
/// opened again: a socket cannot be, and of a regular file that would overwrite what was written to it already.
int named_descriptor(std::string_view path) {
  constexpr std::string_view kStandard[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
  const auto* const found = std::ranges::find(kStandard, path);
  if (found != std::end(kStandard)) return static_cast<int>(found - std::begin(kStandard));
  for (const std::string& folder :
       {std::string("/dev/fd/"), std::string("/proc/self/fd/"), "/proc/" + std::to_string(::getpid()) + "/fd/"}) {
    if (!path.starts_with(folder)) continue;
    const std::string_view digits = path.substr(folder.size());
    int descriptor = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), descriptor);
    if (error == std::errc() && end == digits.data() + digits.size()) return descriptor;
  }
  return -1;
}

/// 0 or an errno.
int write_directly(Descriptor file, std::span<const Bytes> parts) {
  if (!file.is_open()) return errno;
  if (const int error = write_all(file.get(), parts)) return error;
  return file.close() ? 0 : errno;
}

/// What became of the old file where a new one was not written.
enum class Old { kKept, kSpoilt };

struct Outcome {
  int error = 0;  ///< an errno
  Old old = Old::kKept;
};

/// Makes a regular file `bytes` long on the disk, so that none of its bytes fails to be written for want of space. 0 or an errno.
int reserve(int descriptor, std::size_t bytes) {
  if (!std::in_range<off_t>(bytes)) return EFBIG;
  const auto length = static_cast<off_t>(bytes);
  if (length == 0 || ::fallocate(descriptor, 0, 0, length) == 0) return 0;
  if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) return errno;
  struct stat info {};
  if (::fstat(descriptor, &info) != 0) return errno;
  return info.st_size >= length || ::ftruncate(descriptor, length) == 0 ? 0 : errno;
}

/// Overwrites a file that no other can take the place of.
Outcome write_in_place(const std::string& target, off_t old_bytes, std::span<const Bytes> parts) {
  Descriptor file(::open(target.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (!file.is_open()) return {errno};
  std::size_t bytes = 0;
  for (const Bytes& part : parts) bytes += part.size();
  if (const int error = reserve(file.get(), bytes)) {
    const bool kept = ::ftruncate(file.get(), old_bytes) == 0;
    return {error, kept ? Old::kKept : Old::kSpoilt};
  }
  if (const int error = write_all(file.get(), parts)) return {error, Old::kSpoilt};
  if (::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0 || !file.close()) return {errno, Old::kSpoilt};
  return {};
}

/// Whether the folder, not the file, is what keeps a new file from taking the old one's place: it is a mount point (EBUSY), or
/// the folder may not be written to.
bool only_in_place(int error) {
  constexpr int kErrors[] = {EBUSY, EXDEV, EACCES, EPERM, EROFS};
  return std::ranges::find(kErrors, error) != std::end(kErrors);
}

/// 0 or an errno.
/// @param old  of the regular file at `target`; null when there is none
int write_and_rename(const std::string& target, const struct stat* old, std::span<const Bytes> parts) {
  const mode_t mode = old != nullptr ? old->st_mode & kPermissions : kNewFileMode;
  TemporaryFile temporary;
  if (!temporary.create(target.substr(0, after_last(target, '/')), mode)) return errno;
  if (const int error = write_all(temporary.descriptor(), parts)) return error;
  if (old != nullptr && ::fchmod(temporary.descriptor(), mode) != 0) return errno;
  return temporary.rename(target) ? 0 : errno;
}

Outcome replace_regular(const std::string& target, const struct stat& old, std::span<const Bytes> parts) {
  if (::access(target.c_str(), W_OK) != 0) return {errno};
  const int error = write_and_rename(target, &old, parts);
  return only_in_place(error) ? write_in_place(target, old.st_size, parts) : Outcome{error};
}

Outcome replace(const std::string& path, std::span<const Bytes> parts) {
  const WriteSignalDropped no_reader(SIGPIPE), no_room(SIGXFSZ);
  if (const int descriptor = named_descriptor(path); descriptor >= 0)
    return {write_directly(Descriptor(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0)), parts)};
  struct stat old {};
  if (::stat(path.c_str(), &old) == 0) {
    if (!S_ISREG(old.st_mode)) return {write_directly(Descriptor(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY)), parts)};
    const std::unique_ptr<char, decltype(&std::free)> target(::realpath(path.c_str(), nullptr), &std::free);
    if (!target) return {errno};
    const SignalsBlocked blocked{SIGHUP, SIGINT, SIGTERM};
    return replace_regular(target.get(), old, parts);
  }
  if (errno != ENOENT) return {errno};
  const bool dangling_link = ::lstat(path.c_str(), &old) == 0;
  if (path.empty() || dangling_link) return {ENOENT};
  const SignalsBlocked blocked{SIGHUP, SIGINT, SIGTERM};
  return {write_and_rename(path, nullptr, parts)};
}

}  // namespace

Status replace_file(const std::string& path, std::span<const Bytes> parts) {
  if (path.find('\0') != std::string::npos)
    return file_error(StatusCode::kIo, path, "cannot write: no path holds a zero byte");
  const auto [error, old] = replace(path, parts);
  if (error == 0) return {};
  return system_error(StatusCode::kIo, path,
                      old == Old::kKept ? "cannot write" : "cannot write in place, and its old content is lost", error);
}

}  // namespace edgeattn::io
