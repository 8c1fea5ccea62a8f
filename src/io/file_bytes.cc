#include "file_bytes.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "errors.h"

namespace edgeattn::io {
namespace {

/// What a file is that is never read; null for the others.
const char* refused_kind(mode_t mode, FileBytes::Pipes pipes) {
  if (S_ISREG(mode) || (S_ISFIFO(mode) && pipes == FileBytes::Pipes::kRead)) return nullptr;
  if (S_ISDIR(mode)) return "directory";
  return S_ISFIFO(mode) ? "pipe" : S_ISSOCK(mode) ? "socket" : "device";
}

Status check_kind(const std::string& path, mode_t mode, FileBytes::Pipes pipes) {
  const char* const kind = refused_kind(mode, pipes);
  if (kind == nullptr) return {};
  const char* const expected = pipes == FileBytes::Pipes::kRead ? "a regular file or a pipe" : "a regular file";
  return file_error(StatusCode::kIo, path, "expected ", expected, ", given a ", kind);
}

}  // namespace

void Unmap::operator()(std::byte* begin) const noexcept { ::munmap(begin, bytes); }

Status FileBytes::open(const std::string& path, Pipes pipes, FileBytes& file) {
  if (path.find('\0') != std::string::npos) return file_error(StatusCode::kNotFound, path, "no path holds a zero byte");
  // O_NONBLOCK: what is refused below must not make the call wait. For a FIFO's writer, fill waits.
  Descriptor source(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat info {};
  if (!source.is_open()) {
    const int error = errno;
    if (::stat(path.c_str(), &info) == 0) EDGEATTN_TRY(check_kind(path, info.st_mode, pipes));  // a socket cannot be opened
    const StatusCode code = error == ENOENT || error == ENOTDIR ? StatusCode::kNotFound : StatusCode::kIo;
    return system_error(code, path, "cannot open", error);
  }
  if (::fstat(source.get(), &info) != 0) return system_error(StatusCode::kIo, path, "cannot open", errno);
  EDGEATTN_TRY(check_kind(path, info.st_mode, pipes));
  FileBytes opened;
  opened.is_pipe_ = S_ISFIFO(info.st_mode);
  // Some file systems tell no size before they are read.
  if (!opened.is_pipe_ && info.st_size != 0) {
    if (!std::in_range<std::size_t>(info.st_size)) return system_error(StatusCode::kIo, path, "cannot map", EFBIG);
    const auto count = static_cast<std::size_t>(info.st_size);
    void* const begin = ::mmap(nullptr, count, PROT_READ, MAP_PRIVATE, source.get(), 0);
    if (begin == MAP_FAILED && errno == ENOMEM) return system_error(StatusCode::kIo, path, "cannot map", ENOMEM);
    if (begin != MAP_FAILED) {
      opened.mapping_ = {static_cast<std::byte*>(begin), Unmap{count}};
      opened.bytes_ = {opened.mapping_.get(), count};
    }
  }
  if (opened.mapping_ == nullptr) opened.source_ = std::move(source);
  file = std::move(opened);
  return {};
}

Status FileBytes::fill(const std::string& path, std::size_t count) {
  while (source_.is_open() && bytes_.size() < count) {
    if (is_pipe_ && count > kMostPipedBytes) {
      return file_error(StatusCode::kIo, path, "a pipe is read into memory and may hold ", kMostPipedBytes,
                        " bytes, but this file has ", count, ": save it to a disk");
    }
    EDGEATTN_TRY(read_some(path, count));
  }
  return {};
}

Status FileBytes::read_some(const std::string& path, std::size_t count) {
  constexpr std::size_t kLeastCapacity = std::size_t{1} << 16;
  constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;
  if (bytes_.size() == capacity_) {
    // No more than what came so far warrants, whatever a header claims.
    const std::size_t twice = capacity_ > count / 2 ? count : 2 * capacity_;
    const std::size_t capacity = std::max(kLeastCapacity, twice);
    auto* const grown = static_cast<std::byte*>(std::realloc(memory_.get(), capacity));
    if (grown == nullptr) throw std::bad_alloc();
    static_cast<void>(memory_.release());
    memory_.reset(grown);
    capacity_ = capacity;
    bytes_ = {grown, bytes_.size()};
  }
  pollfd readable{.fd = source_.get(), .events = POLLIN, .revents = 0};
  if (::poll(&readable, 1, -1) < 0 && errno != EINTR) return system_error(StatusCode::kIo, path, "cannot read", errno);
  const std::size_t room = std::min(capacity_ - bytes_.size(), kMostAtOnce);
  const ssize_t got = ::read(source_.get(), memory_.get() + bytes_.size(), room);
  if (got < 0) {
    const bool again = errno == EINTR || errno == EAGAIN;
    return again ? Status() : system_error(StatusCode::kIo, path, "cannot read", errno);
  }
  if (got == 0) source_ = Descriptor();
  bytes_ = {memory_.get(), bytes_.size() + static_cast<std::size_t>(got)};
  return {};
}

}  // namespace edgeattn::io
