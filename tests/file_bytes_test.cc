#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "edgeattn/io.h"
#include "hostile_files.h"
#include "io/file_bytes.h"
#include "weights_file.h"

using namespace edgeattn;
using namespace edgeattn::test;
using io::SafetensorsFile;

namespace {

/// Writes bytes to a pipe from a thread of its own, some at once, and opens the other end.
class Piped {
 public:
  explicit Piped(std::string bytes, std::size_t at_once = 65536) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    reader_ = ends[0];
    writer_ = std::thread([bytes = std::move(bytes), at_once, end = ends[1]] {
      sigset_t pipe;  // whose reader may have seen enough
      ::sigemptyset(&pipe);
      ::sigaddset(&pipe, SIGPIPE);
      ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
      for (std::size_t begin = 0; begin < bytes.size(); begin += at_once)
        if (::write(end, bytes.data() + begin, std::min(at_once, bytes.size() - begin)) < 0) break;
      ::close(end);
    });
  }
  Piped(const Piped&) = delete;
  Piped& operator=(const Piped&) = delete;
  ~Piped() {
    ::close(reader_);
    writer_.join();
  }
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(reader_); }

 private:
  int reader_ = -1;
  std::thread writer_;
};

}  // namespace

TEST_CASE("pipes: a weights file comes through, in whatever pieces") {
  WeightsFile weights, large;
  weights.add_ddpm("am.");
  large.add_ddpm("am.");
  large.add("zeros", {400, 500});
  const std::string small_bytes = weights.bytes(), large_bytes = large.bytes();
  for (const std::size_t at_once : {1u, 7u, 4096u, 65536u}) {
    const Piped piped(at_once < 4096 ? small_bytes : large_bytes, at_once);
    SafetensorsFile file;
    REQUIRE(std::string(SafetensorsFile::open(piped.path(), file).message()) == "");
    io::BlockWeights block;
    REQUIRE(Request{.prefix = "am."}.load(file, block).ok());
    check_values(block);
  }
}

TEST_CASE("pipes: a FIFO waits for its writer") {
  const TempDirectory folder;
  const std::string fifo = folder / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const std::string bytes = safetensors(kGoodHeader, little_endian(1.5f) + little_endian(-2.f));
  std::thread writer([&] {
    ::usleep(20000);
    write_file(fifo, bytes);
  });
  SafetensorsFile file;
  const Status status = SafetensorsFile::open(fifo, file);
  writer.join();
  REQUIRE(std::string(status.message()) == "");
  std::vector<float> values;
  REQUIRE(file.read(file.tensors()[0], values).ok());
  CHECK(values == std::vector<float>{1.5, -2});
}

TEST_CASE("pipes: what a file says, a pipe with the same bytes says") {
  const TempDirectory folder;
  const auto compare = [&](const std::string& bytes) {
    write_file(folder / "w", bytes);
    SafetensorsFile file;
    const std::string path = folder / "w";
    const std::string by_file = SafetensorsFile::open(path, file).message();
    const Piped piped(bytes);
    const std::string by_pipe = SafetensorsFile::open(piped.path(), file).message();
    CAPTURE(by_file);
    CAPTURE(by_pipe);
    const auto without_path = [](const std::string& message, const std::string& of) {
      return message.empty() ? message : message.substr(of.size());
    };
    const bool more = by_file.find(" more bytes") != std::string::npos || by_pipe.find("may hold") != std::string::npos;
    CHECK((more || without_path(by_file, path) == without_path(by_pipe, piped.path())));
    CHECK(by_file.empty() == by_pipe.empty());
  };
  for (const HostileFile& hostile : kHostileFiles) {
    CAPTURE(std::string(hostile.rule));
    compare(hostile.bytes);
  }
  compare("GGUF....");
  compare(safetensors(kGoodHeader, zeros(8)));
  compare(safetensors(kGoodHeader, zeros(100000)));
}

TEST_CASE("pipes: what they may hold is limited, and known from the header") {
  for (const std::size_t past : {std::size_t{1}, std::size_t{4096}, io::kMostPipedBytes / 2}) {
    const std::string bytes = std::to_string(io::kMostPipedBytes + past);
    const std::string header = tensor("\"U8\"", "[" + bytes + "]", "[0," + bytes + "]");
    const Piped piped(safetensors(header, zeros(5000)));
    SafetensorsFile file;
    const Status status = SafetensorsFile::open(piped.path(), file);
    CHECK(status.code() == StatusCode::kIo);
    const std::string message = status.message();
    CAPTURE(message);
    CHECK(message.find("may hold " + std::to_string(io::kMostPipedBytes) + " bytes, but this file has ") != std::string::npos);
  }
}

TEST_CASE("pipes: an index cannot come through one") {
  const Piped piped(R"({"weight_map":{"x":"x"}})");
  SafetensorsFile file;
  const Status status = SafetensorsFile::open(piped.path(), file);
  CHECK(status.code() == StatusCode::kIo);
  CHECK(std::string(status.message()).find("beside its shards, not from a pipe") != std::string::npos);
}

TEST_CASE("files: sockets, devices and folders are refused") {
  const TempDirectory folder;
  const std::string path = folder / "socket";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  struct Row {
    std::string path;
    const char* kind;
  };
  for (const Row& row : {Row{path, "socket"}, Row{"/proc/self/fd/" + std::to_string(pair[0]), "socket"},
                         Row{"/dev/zero", "device"}, Row{"/dev/full", "device"}, Row{folder.path().string(), "directory"}}) {
    SafetensorsFile file;
    const Status status = SafetensorsFile::open(row.path, file);
    CHECK(status.code() == StatusCode::kIo);
    CHECK(std::string(status.message()).ends_with("expected a regular file or a pipe, given a " + std::string(row.kind)));
  }
  for (const int descriptor : {listener, pair[0], pair[1]}) ::close(descriptor);
}

namespace {

/// Makes the system refuse to map files, as some file systems do. False where the kernel has no such filters.
bool refuse_mapping() {
#ifdef SYS_mmap
  constexpr unsigned kMap = SYS_mmap;
#else
  constexpr unsigned kMap = SYS_mmap2;
#endif
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kMap, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args) + 3 * sizeof(std::uint64_t)),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_ANONYMOUS, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENODEV),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = std::size(rules), .filter = rules};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

}  // namespace

TEST_CASE("files: what the system does not map is read") {
  const TempDirectory folder;
  WeightsFile weights;
  weights.add_ddpm("am.");
  const std::string bytes = weights.bytes(), path = folder / "w", cut = folder / "cut";
  write_file(path, bytes);
  write_file(cut, bytes.substr(0, bytes.size() - 1));
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (!refuse_mapping()) _exit(77);
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (::mmap(nullptr, bytes.size(), PROT_READ, MAP_PRIVATE, descriptor, 0) != MAP_FAILED) _exit(1);
    SafetensorsFile file, none;
    if (!SafetensorsFile::open(path, file).ok()) _exit(2);
    io::BlockWeights block;
    if (!Request{.prefix = "am."}.load(file, block).ok()) _exit(3);
    if (block.out_bias != counting(6000, kChannels) || block.norm_weight != counting(1000, kChannels)) _exit(4);
    _exit(SafetensorsFile::open(cut, none).code() == StatusCode::kFormat ? 0 : 5);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) MESSAGE("skipped: this kernel filters no system calls");
  else CHECK(WEXITSTATUS(status) == 0);
}
