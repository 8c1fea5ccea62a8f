#include "mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "descriptor.h"
#include "errors.h"

namespace edgeattn::io {

void Unmap::operator()(std::byte* begin) const noexcept { ::munmap(begin, bytes); }

Status Mapping::open(const std::string& path, Mapping& mapping) {
  if (path.find('\0') != std::string::npos) return file_error(StatusCode::kNotFound, path, "no path holds a zero byte");
  // O_NONBLOCK: opening a FIFO must fail below, not wait for a writer.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.is_open()) {
    const StatusCode code = errno == ENOENT || errno == ENOTDIR ? StatusCode::kNotFound : StatusCode::kIo;
    return system_error(code, path, "cannot open", errno);
  }
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return system_error(StatusCode::kIo, path, "cannot open", errno);
  if (S_ISDIR(info.st_mode)) return file_error(StatusCode::kIo, path, "expected a regular file, given a directory");
  if (!S_ISREG(info.st_mode)) {
    return file_error(StatusCode::kIo, path, "expected a regular file, given a device, pipe or socket");
  }
  mapping.begin_.reset();
  if (info.st_size == 0) return {};
  if (!std::in_range<std::size_t>(info.st_size)) return system_error(StatusCode::kIo, path, "cannot map", EFBIG);

  const auto bytes = static_cast<std::size_t>(info.st_size);
  void* begin = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (begin == MAP_FAILED) return system_error(StatusCode::kIo, path, "cannot map", errno);
  mapping.begin_ = {static_cast<std::byte*>(begin), Unmap{bytes}};
  return {};
}

}  // namespace edgeattn::io
