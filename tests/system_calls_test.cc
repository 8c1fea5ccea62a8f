#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

#include "harness.h"

/// Under a seccomp filter of all threads, a run makes no system call but futex. Each runs in a process of its own, which leaves
/// with exit_group.
namespace edgeattn::test {
namespace {

/// The call that the filter stopped, in memory that the child shares with its parent; 0 for none.
int* stopped_call() {
  static int* const number = static_cast<int*>(mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  return number;
}

void note_call(int, siginfo_t* info, void*) {
  *stopped_call() = info->si_syscall;
  _exit(1);
}

/// Stops every call but futex and exit_group, on all threads there are. False where the kernel has no such filters.
bool filter_calls() {
  struct sigaction action = {};
  action.sa_sigaction = note_call;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSYS, &action, nullptr);
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 3, 0),
#ifdef SYS_futex_time64
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex_time64, 2, 0),
#else
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 2, 0),
#endif
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = std::size(rules), .filter = rules};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

/// The exit status of a process that runs `body`; what it does not survive counts as 255.
template <class Body>
int status_of(Body body) {
  *stopped_call() = 0;
  std::fflush(stdout);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(body());
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/// Ends this process as a skipped test where the kernel has no such filters.
void skip_without_filters() {
  if (status_of([] { return filter_calls() ? 0 : 2; }) != 2) return;
  std::printf("skipped: this kernel filters no system calls\n");
  std::fflush(stdout);
  _exit(77);
}

struct Row {
  Spec spec;
  Shape shape;
  PlanOptions options;
};

const Row kRows[] = {
    {{.channels = 64}, {2, 16, 16}, {.threads = 1}},
    {{.channels = 64}, {2, 16, 16}, {.threads = 2}},
    {{.channels = 64, .groups = 8}, {1, 33, 33}, {.threads = 3}},
    {{.channels = 24, .groups = 3}, {3, 25, 25}, {.layout = Layout::kNhwc, .threads = 2}},
    {{.channels = 20, .norm = Norm::kNone}, {1, 5, 5}, {.threads = 2}},
    {{.channels = 48, .norm = Norm::kBatch, .heads = 3}, {2, 16, 17}, {.threads = 4}},
};

TEST_CASE("a run calls the system for nothing but futex") {
  skip_without_filters();
  for (const Row& row : kRows) {
    CAPTURE(row.spec.channels);
    CAPTURE(row.options.threads);
    const io::BlockWeights weights = random_weights(row.spec, 61);
    std::mt19937_64 engine = random_engine(61);
    std::vector<float> x = normal_values(engine, row.shape.batch * row.spec.channels * row.shape.tokens());
    std::vector<float> spoilt = x, y(x.size());
    spoilt[3] = __builtin_nanf("");
    const int status = status_of([&] {
      TestBlock block(weights, row.shape, row.options);  // whose threads a child would not inherit
      if (!filter_calls()) return 2;
      for (int repeat = 0; repeat < 50; ++repeat)
        if (!block.block().run(x.data(), y.data()).ok()) return 3;
      if (!block.block().run(spoilt.data(), spoilt.data()).ok()) return 3;
      _exit(0);  // before destructors, which may call for more
    });
    CHECK_MESSAGE(*stopped_call() == 0, "it made system call ", *stopped_call());
    CHECK(status == 0);
  }
}

TEST_CASE("the filter stops other calls") {
  CHECK(status_of([] { return filter_calls() ? static_cast<int>(getppid()) : 2; }) == 1);
  CHECK(*stopped_call() == SYS_getppid);
}

}  // namespace
}  // namespace edgeattn::test
