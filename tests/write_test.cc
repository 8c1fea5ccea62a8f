#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "edgeattn/io.h"
#include "files.h"

using namespace edgeattn;
using namespace edgeattn::test;
namespace fs = std::filesystem;

namespace {

const std::vector<float> kValues = {1, -2.5f, 3e-40f, 4, 5, 6};
const std::vector<std::size_t> kWrittenShape = {1, 2, 3, 1};

Status write_values(const std::string& path) { return io::write_safetensors(path, "output", kWrittenShape, kValues); }

void check_content(const std::string& path) {
  io::SafetensorsFile file;
  REQUIRE(std::string(io::SafetensorsFile::open(path, file).message()) == "");
  REQUIRE(file.tensors().size() == 1);
  const io::TensorInfo& info = file.tensors()[0];
  CHECK(info.name == "output");
  CHECK(info.dtype == io::Dtype::kF32);
  CHECK(info.shape == kWrittenShape);
  CHECK(info.offset % 8 == 0);
  std::vector<float> values;
  REQUIRE(file.read(info, values).ok());
  CHECK(std::memcmp(values.data(), kValues.data(), sizeof(float) * kValues.size()) == 0);
}

mode_t mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 0777;
}

/// Sets the umask, and sets it back.
class Umask {
 public:
  explicit Umask(mode_t mask) : old_(::umask(mask)) {}
  ~Umask() { ::umask(old_); }

 private:
  mode_t old_;
};

}  // namespace

TEST_CASE("write: a new file obeys the umask") {
  const TempDirectory folder;
  const Umask umask(027);
  REQUIRE(std::string(write_values(folder / "new").message()) == "");
  check_content(folder / "new");
  CHECK(mode_of(folder / "new") == 0640);
  CHECK(folder.entries() == 1);
}

TEST_CASE("write: a name without a folder means the working folder") {
  const TempDirectory folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  CHECK(std::string(write_values("here").message()) == "");
  fs::current_path(before);
  check_content(folder / "here");
}

TEST_CASE("write: an old file is replaced, keeps its mode, and stays whole for who reads it") {
  const TempDirectory folder;
  const std::string path = folder / "old";
  const Umask umask(022);
  write_file(path, safetensors(R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x"));
  for (const mode_t mode : {0600u, 0666u, 0755u}) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    io::SafetensorsFile reader;
    REQUIRE(io::SafetensorsFile::open(path, reader).ok());
    const std::string name = reader.tensors()[0].name;
    REQUIRE(write_values(path).ok());
    CHECK(reader.tensors()[0].name == name);
    CHECK(mode_of(path) == mode);
    check_content(path);
  }
  CHECK(folder.entries() == 1);
}

TEST_CASE("write: symbolic links stay, and what they point to is replaced") {
  const TempDirectory folder;
  fs::create_directory(folder / "below");
  write_file(folder / "below/target", "old");
  fs::create_symlink("below/target", folder / "link");
  fs::create_symlink("link", folder / "link-to-link");
  REQUIRE(write_values(folder / "link-to-link").ok());
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(fs::is_symlink(folder / "link-to-link"));
  CHECK_FALSE(fs::is_symlink(folder / "below/target"));
  check_content(folder / "below/target");
  CHECK(folder.entries() == 3);

  fs::create_symlink("nowhere", folder / "dangling");
  const Status status = write_values(folder / "dangling");
  CHECK(status.code() == StatusCode::kIo);
  CHECK(fs::is_symlink(folder / "dangling"));
  CHECK(folder.entries() == 4);
}

TEST_CASE("write: devices and pipes are written directly") {
  CHECK(std::string(write_values("/dev/null").message()) == "");
  CHECK(fs::is_character_file("/dev/null"));

  const TempDirectory folder;
  const std::string fifo = folder / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  std::string received;
  std::thread reader([&] { received = read_file(fifo); });
  const Status status = write_values(fifo);
  reader.join();
  CHECK(std::string(status.message()) == "");
  write_file(folder / "copy", received);
  check_content(folder / "copy");
  CHECK(fs::is_fifo(fifo));
}

TEST_CASE("write: a pipe that nobody reads any more is an error, not a signal") {
  const TempDirectory folder;
  const std::string fifo = folder / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const std::vector<float> many(1 << 20);
  const std::size_t shape[] = {many.size()};
  std::thread reader([&] { ::close(::open(fifo.c_str(), O_RDONLY | O_CLOEXEC)); });
  const Status status = io::write_safetensors(fifo, "x", shape, many);
  reader.join();
  CHECK(status.code() == StatusCode::kIo);
  CHECK(std::string(status.message()).find("Broken pipe") != std::string::npos);
  sigset_t pending;
  ::sigpending(&pending);
  CHECK(::sigismember(&pending, SIGPIPE) == 0);
}

TEST_CASE("write: errors name the path and leave nothing behind") {
  const TempDirectory folder;
  write_file(folder / "file", "kept");
  fs::create_directory(folder / "folder");
  struct Row {
    std::string path;
    const char* reason;
  };
  const Row rows[] = {{"/dev/full", "No space left on device"},
                      {folder / "missing/out", "No such file or directory"},
                      {folder / "file/out", "Not a directory"},
                      {folder / "folder", "Is a directory"},
                      {folder / std::string(300, 'n'), "File name too long"},
                      {"", "No such file or directory"},
                      {folder / std::string("a\0b", 3), "zero byte"}};
  for (const Row& row : rows) {
    CAPTURE(row.path);
    for (const Status& status : {write_values(row.path), io::write_text(row.path, "text")}) {
      const std::string message = status.message();
      CAPTURE(message);
      CHECK(status.code() == StatusCode::kIo);
      CHECK(message.find("cannot write: ") != std::string::npos);
      CHECK(message.find(row.reason) != std::string::npos);
    }
  }
  CHECK(folder.entries() == 2);
  CHECK(read_file(folder / "file") == "kept");
}

TEST_CASE("write: what does not fit leaves the old file as it was, and is no signal") {
  const TempDirectory folder;
  const std::string path = folder / "old";
  write_file(path, "kept");
  rlimit old_limit{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old_limit) == 0);
  for (const auto disposition : {SIG_IGN, SIG_DFL}) {
    const auto old_handler = std::signal(SIGXFSZ, disposition);
    for (const rlim_t bytes : {0u, 4u, 64u}) {
      const rlimit limit{bytes, old_limit.rlim_max};
      REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
      const Status over_old = write_values(path), anew = io::write_text(folder / "new", std::string(100, 'x'));
      REQUIRE(::setrlimit(RLIMIT_FSIZE, &old_limit) == 0);
      for (const Status& status : {over_old, anew}) {
        CHECK(status.code() == StatusCode::kIo);
        CHECK(std::string(status.message()).find("File too large") != std::string::npos);
      }
      CHECK(read_file(path) == "kept");
      CHECK(folder.entries() == 1);
      sigset_t pending;
      ::sigpending(&pending);
      CHECK(::sigismember(&pending, SIGXFSZ) == 0);
    }
    std::signal(SIGXFSZ, old_handler);
  }
}

TEST_CASE("write: a descriptor of this process, by its name, is written to where it is") {
  const TempDirectory folder;
  const std::string path = folder / "log";
  write_file(path, "first\n");
  const int log = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  const int closed = ::dup(log);
  ::close(closed);
  const std::string folders[] = {"/dev/fd/", "/proc/self/fd/", "/proc/" + std::to_string(::getpid()) + "/fd/"};
  for (const std::string& each : folders)
    REQUIRE(std::string(io::write_text(each + std::to_string(log), "more\n").message()) == "");
  CHECK(read_file(path) == "first\nmore\nmore\nmore\n");
  for (const std::string& each : folders) {
    const Status status = io::write_text(each + std::to_string(closed), "more\n");
    CHECK(std::string(status.message()).find("Bad file descriptor") != std::string::npos);
  }
  CHECK(::fcntl(log, F_GETFD) >= 0);
  ::close(log);
  CHECK(folder.entries() == 1);
}

TEST_CASE("write: a pipe that does not wait is waited for") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  const std::string text(1 << 20, 'x');
  std::string received;
  std::thread reader([&] {
    char part[5000];
    while (received.size() < text.size()) {
      const ssize_t got = ::read(ends[0], part, sizeof part);
      if (got > 0) received.append(part, static_cast<std::size_t>(got));
    }
  });
  const Status status = io::write_text("/proc/self/fd/" + std::to_string(ends[1]), text);
  reader.join();
  CHECK(std::string(status.message()) == "");
  CHECK(received == text);
  for (const int end : ends) ::close(end);
}

TEST_CASE("write: a file that may not be written is not replaced") {
  if (::geteuid() == 0) return;  // root may write it
  const TempDirectory folder;
  write_file(folder / "old", "kept");
  REQUIRE(::chmod((folder / "old").c_str(), 0444) == 0);
  CHECK(write_values(folder / "old").code() == StatusCode::kIo);
  CHECK(read_file(folder / "old") == "kept");
}

TEST_CASE("write: the caller's signals are as before") {
  const TempDirectory folder;
  static int seen = 0;
  seen = 0;
  const auto old_handler = std::signal(SIGTERM, [](int) { ++seen; });
  sigset_t mask, before, after;
  ::sigemptyset(&mask);
  ::sigaddset(&mask, SIGHUP);
  REQUIRE(::pthread_sigmask(SIG_BLOCK, &mask, nullptr) == 0);
  REQUIRE(::pthread_sigmask(SIG_BLOCK, nullptr, &before) == 0);
  REQUIRE(write_values(folder / "out").ok());
  REQUIRE(::pthread_sigmask(SIG_BLOCK, nullptr, &after) == 0);
  for (const int number : {SIGHUP, SIGINT, SIGTERM, SIGPIPE})
    CHECK(::sigismember(&before, number) == ::sigismember(&after, number));
  std::raise(SIGTERM);
  CHECK(seen == 1);
  REQUIRE(::pthread_sigmask(SIG_UNBLOCK, &mask, nullptr) == 0);
  std::signal(SIGTERM, old_handler);
}

TEST_CASE("write: a temporary file of somebody else is left alone") {
  const TempDirectory folder;
  const std::string taken = folder / (".edgeattn-" + std::to_string(::getpid()) + "-0.tmp");
  write_file(taken, "theirs");
  REQUIRE(write_values(folder / "out").ok());
  CHECK(read_file(taken) == "theirs");
  CHECK(folder.entries() == 2);
}

TEST_CASE("write: arguments that make no file") {
  const TempDirectory folder;
  const std::string path = folder / "out";
  const std::size_t wrong[] = {7};
  const std::size_t wraps[] = {6, std::numeric_limits<std::size_t>::max() / 2 + 1, 2};
  CHECK(io::write_safetensors(path, "x", wrong, kValues).code() == StatusCode::kInvalidArgument);
  CHECK(io::write_safetensors(path, "x", wraps, {}).code() == StatusCode::kInvalidArgument);
  CHECK(io::write_safetensors(path, "__metadata__", kWrittenShape, kValues).code() == StatusCode::kInvalidArgument);
  CHECK(io::write_safetensors(path, "\xFF", kWrittenShape, kValues).code() == StatusCode::kInvalidArgument);
  CHECK(folder.entries() == 0);
}

TEST_CASE("write: several tensors, and metadata") {
  const TempDirectory folder;
  const std::string path = folder / "out";
  const std::vector<float> one = {1};
  const std::vector<io::NamedTensor> tensors = {{"b", {3, 2}, kValues}, {"a", {}, one}, {"none", {0}, {}}};
  const io::Metadata metadata = {{"key", "a \"value\""}, {"another", ""}};
  REQUIRE(std::string(io::write_safetensors(path, tensors, metadata).message()) == "");
  io::SafetensorsFile file;
  REQUIRE(std::string(io::SafetensorsFile::open(path, file).message()) == "");
  CHECK(file.tensors().size() == 3);
  std::vector<float> values;
  REQUIRE(file.read(*file.find("b"), values).ok());
  CHECK(values == kValues);
  REQUIRE(file.read(*file.find("a"), values).ok());
  CHECK(values == one);
  CHECK(file.metadata() == io::Metadata{{"another", ""}, {"key", "a \"value\""}});

  const Status twice_told = io::write_safetensors(path, tensors, {{"key", "a"}, {"key", "b"}});
  CHECK(twice_told.code() == StatusCode::kInvalidArgument);
  CHECK(std::string(twice_told.message()).find("expected key 'key' once, given twice") != std::string::npos);
  const std::vector<io::NamedTensor> twice = {{"a", {}, one}, {"a", {}, one}};
  const Status status = io::write_safetensors(path, twice);
  CHECK(status.code() == StatusCode::kInvalidArgument);
  CHECK(std::string(status.message()).find("tensor 'a': expected once, given twice") != std::string::npos);
}

TEST_CASE("write: names that JSON must escape, and shapes without elements or sizes") {
  const TempDirectory folder;
  const std::string path = folder / "out";
  const std::vector<float> one = {1};
  for (const std::string name : {"", "a\"b\\c\n", "größe 𝄞", "\x01\x7F"}) {
    CAPTURE(name);
    REQUIRE(io::write_safetensors(path, name, {}, one).ok());
    io::SafetensorsFile file;
    REQUIRE(io::SafetensorsFile::open(path, file).ok());
    REQUIRE(file.find(name) != nullptr);
    CHECK(file.find(name)->shape.empty());
  }
  const std::size_t none[] = {2, 0};
  REQUIRE(io::write_safetensors(path, "none", none, {}).ok());
  io::SafetensorsFile file;
  CHECK(io::SafetensorsFile::open(path, file).ok());
}

namespace {

/// The two formats of 16 bits.
struct HalfRow {
  const char* name;
  io::Dtype dtype;
  std::uint16_t infinity, quiet;  ///< bits of infinity, and the bit that quiet NaN have

  [[nodiscard]] bool is_nan(unsigned bits) const { return (bits & 0x7FFFu) > infinity; }
};
constexpr HalfRow kHalves[] = {{"F16", io::Dtype::kF16, 0x7C00, 0x0200}, {"BF16", io::Dtype::kBf16, 0x7F80, 0x0040}};

/// Every value of 16 bits, by its bits, as the reader has them.
std::vector<float> values_of(const HalfRow& half) {
  std::string data;
  for (unsigned bits = 0; bits < 65536; ++bits) data += little_endian(static_cast<std::uint16_t>(bits));
  const std::string bytes = safetensors(tensor('"' + std::string(half.name) + '"', "[65536]", "[0,131072]"), data);
  io::SafetensorsFile file;
  REQUIRE(io::SafetensorsFile::parse(bytes_of(bytes), "halves", file).ok());
  std::vector<float> values;
  REQUIRE(file.read(file.tensors()[0], values).ok());
  return values;
}

/// The bits that a file has of `values`. The reader must find the tensor and read back what those bits mean.
std::vector<std::uint16_t> written(const HalfRow& half, const std::vector<float>& values, const std::vector<float>& meaning) {
  const TempDirectory folder;
  const std::string path = folder / "out";
  const std::size_t shape[] = {values.size()};
  REQUIRE(std::string(io::write_safetensors(path, "x", shape, values, half.dtype).message()) == "");
  io::SafetensorsFile file;
  REQUIRE(std::string(io::SafetensorsFile::open(path, file).message()) == "");
  CHECK(file.tensors()[0].dtype == half.dtype);
  CHECK(file.tensors()[0].dtype_name == half.name);
  std::vector<float> back;
  REQUIRE(file.read(file.tensors()[0], back).ok());

  std::vector<std::uint16_t> bits(values.size());
  const std::string bytes = read_file(path).substr(file.tensors()[0].offset);
  REQUIRE(bytes.size() == 2 * bits.size());
  std::memcpy(bits.data(), bytes.data(), bytes.size());
  for (std::size_t i = 0; i < bits.size(); ++i)
    REQUIRE(std::bit_cast<std::uint32_t>(back[i]) == std::bit_cast<std::uint32_t>(meaning[bits[i]]));
  return bits;
}

}  // namespace

TEST_CASE("write: every F16 and BF16 value keeps its bits, and NaN becomes quiet") {
  for (const HalfRow& half : kHalves) {
    CAPTURE(std::string(half.name));
    const std::vector<float> all = values_of(half);
    const std::vector<std::uint16_t> bits = written(half, all, all);
    for (unsigned i = 0; i < 65536; ++i) {
      CAPTURE(i);
      REQUIRE(bits[i] == (half.is_nan(i) ? i | half.quiet : i));
    }
  }
}

TEST_CASE("write: F16 and BF16 are rounded to nearest, ties to even, and overflow to infinity") {
  for (const HalfRow& half : kHalves) {
    CAPTURE(std::string(half.name));
    const std::vector<float> all = values_of(half);
    std::vector<float> between;
    std::vector<unsigned> expected;
    for (unsigned i = 0; i < half.infinity; ++i) {
      // Infinity begins where the number that would follow the largest is nearer.
      const double next = i + 1 < half.infinity ? double{all[i + 1]} : 2 * double{all[i]} - all[i - 1];
      const auto tie = static_cast<float>((all[i] + next) / 2);
      for (const float sign : {1.0f, -1.0f}) {
        const unsigned sign_bit = sign < 0 ? 0x8000u : 0;
        between.insert(between.end(), {sign * std::nextafter(tie, 0.0f), sign * tie, sign * std::nextafter(tie, INFINITY)});
        expected.insert(expected.end(), {i | sign_bit, (i % 2 == 0 ? i : i + 1) | sign_bit, (i + 1) | sign_bit});
      }
    }
    between.insert(between.end(), {std::numeric_limits<float>::max(), std::numeric_limits<float>::denorm_min()});
    expected.insert(expected.end(), {half.infinity, 0});
    const std::vector<std::uint16_t> bits = written(half, between, all);
    for (std::size_t i = 0; i < between.size(); ++i) {
      CAPTURE(between[i]);
      REQUIRE(bits[i] == expected[i]);
    }
  }
}

TEST_CASE("write: tensors of several dtypes, and those that are not written") {
  const TempDirectory folder;
  const std::string path = folder / "out";
  const std::vector<float> odd = {1, 2, 3};
  const std::vector<io::NamedTensor> tensors = {
      {"h", {3}, odd, io::Dtype::kF16}, {"f", {2, 3}, kValues}, {"b", {1, 3}, odd, io::Dtype::kBf16}};
  REQUIRE(std::string(io::write_safetensors(path, tensors).message()) == "");
  io::SafetensorsFile file;
  REQUIRE(std::string(io::SafetensorsFile::open(path, file).message()) == "");
  for (const io::NamedTensor& tensor : tensors) {
    const io::TensorInfo* const info = file.find(tensor.name);
    REQUIRE(info != nullptr);
    CHECK(info->dtype == tensor.dtype);
    CHECK(info->shape == tensor.shape);
    std::vector<float> values;
    REQUIRE(file.read(*info, values).ok());
    CHECK(std::ranges::equal(values, tensor.values));
  }
  for (const io::Dtype dtype : {io::Dtype::kF64, io::Dtype::kOther}) {
    const Status status = io::write_safetensors(folder / "other", "x", kWrittenShape, kValues, dtype);
    CHECK(status.code() == StatusCode::kUnsupported);
    CHECK(std::string(status.message()).find("tensor 'x': only F32, F16 and BF16 are written") != std::string::npos);
  }
  CHECK(folder.entries() == 1);
}

TEST_CASE("write: text") {
  const TempDirectory folder;
  REQUIRE(io::write_text(folder / "text", "<svg/>\n").ok());
  CHECK(read_file(folder / "text") == "<svg/>\n");
  REQUIRE(io::write_text(folder / "text", "").ok());
  CHECK(read_file(folder / "text").empty());
}
