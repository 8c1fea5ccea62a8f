#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <string_view>

#include "harness.h"
#include "oracle.h"

/// Processes in which the system's files about the processor cannot be read: chroots, sandboxes, early boot. open() stands in for the
/// C library's, for cpuinfo's calls too.
namespace edgeattn::test {
namespace {

enum class Files : std::uint8_t { kAll, kNoProc, kNoneAtAll, kNoDescriptors, kEmpty };
Files files = Files::kAll;

/// The errno with which `path` is refused, 0 for none.
int refusal(std::string_view path) {
  const bool proc = path.starts_with("/proc/"), about_processor = proc || path.starts_with("/sys/");
  if (files == Files::kNoProc && proc) return ENOENT;
  if (files == Files::kNoneAtAll && about_processor) return EACCES;
  if (files == Files::kNoDescriptors) return EMFILE;
  return 0;
}

}  // namespace

int open_refused(const char* path, int flags, unsigned mode) {
  if (const int error = refusal(path); error != 0) return errno = error, -1;
  const bool empty = files == Files::kEmpty && std::strcmp(path, "/proc/cpuinfo") == 0;
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, empty ? "/dev/null" : path, flags, mode));
}

namespace {

/// The line at which a process finds something else than expected.
template <class Body>
int failing_line(Body body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(body());
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define EXPECT(condition) \
  if (!(condition)) return __LINE__

bool takes_builtin() {
  Gemm taken;
  return gemm_traits(detect_machine(), taken).ok() && std::string_view(taken.name) == "edgeattn";
}

bool names_the_files() {
  Gemm taken;
  const Status status = gemm_traits(detect_machine(), taken, GemmChoice::kXnnpack);
  return status.code() == StatusCode::kGemm && std::strstr(status.message(), "/proc/cpuinfo") != nullptr;
}

TEST_CASE("without the files that XNNPACK asks, auto takes the built-in products, and XNNPACK alone says what is missing") {
  for (const Files missing : {Files::kNoProc, Files::kNoneAtAll, Files::kNoDescriptors}) {
    CAPTURE(static_cast<int>(missing));
    CHECK(failing_line([&] {
      files = missing;
      EXPECT(takes_builtin());
      EXPECT(names_the_files());
      EXPECT(takes_builtin());
      files = Files::kAll;  // mounted later: cpuinfo does not ask again
      EXPECT(takes_builtin());
      EXPECT(names_the_files());
      return 0;
    }) == 0);
  }
}

TEST_CASE("an empty /proc/cpuinfo is enough for some cpuinfo: auto is what works") {
  CHECK(failing_line([] {
    files = Files::kEmpty;
    Gemm taken;
    EXPECT(gemm_traits(detect_machine(), taken).ok());
    EXPECT(gemm_traits(detect_machine(), taken, GemmChoice::kXnnpack).ok() || names_the_files());
    return 0;
  }) == 0);
}

TEST_CASE("what was missing after the first probe does not matter") {
  CHECK(failing_line([] {
    Gemm taken;
    EXPECT(gemm_traits(detect_machine(), taken, GemmChoice::kXnnpack).ok());
    files = Files::kNoneAtAll;
    EXPECT(gemm_traits(detect_machine(), taken, GemmChoice::kXnnpack).ok());
    return 0;
  }) == 0);
}

/// The last, for it is this process that stays without.
TEST_CASE("blocks run in such a process, at every precision") {
  files = Files::kNoProc;
  REQUIRE(takes_builtin());
  const Spec spec{.channels = 64};
  const Shape shape{1, 8, 9};
  const io::BlockWeights weights = random_weights(spec, 81);
  std::mt19937_64 engine = random_engine(81);
  const std::vector<float> x = normal_values(engine, spec.channels * shape.tokens());
  TestBlock block(weights, shape, {.threads = 2});
  CHECK(std::string_view(block.plan().gemm_name) == "edgeattn");
  CHECK(judge(reference(weights, shape, Layout::kNchw, x), shape, x, block.run(x)).worst_excess <= 1);
  for (const Precision precision : {Precision::kBfloat16, Precision::kInt8}) {
    Plan planned;
    const Status status = plan(spec, shape, {.isa = Isa::kScalar, .precision = precision}, detect_machine(), gemm(), planned);
    CHECK(status.ok());
  }
}

}  // namespace
}  // namespace edgeattn::test

// By these labels, for a declaration of open() may mean either.
extern "C" {
int stands_in(const char* path, int flags, ...) __asm__("open");
int stands_in_64(const char* path, int flags, ...) __asm__("open64");

int stands_in(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const unsigned mode = (flags & O_CREAT) != 0 ? va_arg(arguments, unsigned) : 0;
  va_end(arguments);
  return edgeattn::test::open_refused(path, flags, mode);
}
int stands_in_64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const unsigned mode = (flags & O_CREAT) != 0 ? va_arg(arguments, unsigned) : 0;
  va_end(arguments);
  return edgeattn::test::open_refused(path, flags, mode);
}
}
