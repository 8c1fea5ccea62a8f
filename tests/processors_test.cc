#include "machine/processors.h"

#include <sched.h>

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <utility>

#include "files.h"
#include "harness.h"

/// Roots of file systems as containers show them, with quotas of control groups.
namespace edgeattn::test {
namespace {

constexpr std::size_t kNone = SIZE_MAX;

constexpr char kUnified[] = "29 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr char kCpu[] = "33 32 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n";
constexpr char kOthers[] = "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n31 22 0:28 / /proc rw - proc proc rw\n";

struct Root {
  const char* name;
  std::string mounts;
  std::string groups;
  std::initializer_list<std::pair<const char*, const char*>> files;
  std::size_t expected;
};

std::size_t processors_in(const Root& root) {
  const TempDirectory folder;
  const auto write = [&](const std::string& path, const std::string& text) {
    const std::filesystem::path place = folder.path().string() + path;
    std::filesystem::create_directories(place.parent_path());
    write_file(place.string(), text);
  };
  write("/proc/self/mountinfo", root.mounts);
  write("/proc/self/cgroup", root.groups);
  for (const auto& [path, text] : root.files) write(std::string("/sys/fs/cgroup") + path, text);
  return quota_processors(folder.path().c_str());
}

TEST_CASE("quotas of control groups, as containers show them") {
  const std::string both = std::string(kOthers) + kCpu + "41 32 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
  const Root kRoots[] = {
      {"v2, one and a half", std::string(kOthers) + kUnified, "0::/user.slice/a.scope\n",
       {{"/user.slice/a.scope/cpu.max", "150000 100000\n"}}, 2},
      {"v2, a whole number", kUnified, "0::/a\n", {{"/a/cpu.max", "300000 100000\n"}}, 3},
      {"v2, part of one", kUnified, "0::/a\n", {{"/a/cpu.max", "1000 100000\n"}}, 1},
      {"v2, no quota", kUnified, "0::/a\n", {{"/a/cpu.max", "max 100000\n"}}, kNone},
      {"v2, the parent's is less", kUnified, "0::/a/b/c\n",
       {{"/a/b/c/cpu.max", "max 100000\n"}, {"/a/b/cpu.max", "400000 100000\n"}, {"/a/cpu.max", "200000 100000\n"}}, 2},
      {"v2, a group without the controller", kUnified, "0::/a/b\n", {{"/a/cpu.max", "50000 20000\n"}}, 3},
      {"v2, a namespace of its own", kUnified, "0::/\n", {{"/cpu.max", "200000 100000\n"}}, 2},
      {"v2, from outside of the namespace", kUnified, "0::/../other\n", {{"/cpu.max", "200000 100000\n"}}, 2},
      {"v2, a mount that shows part", "29 22 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/docker/abc/d\n",
       {{"/cpu.max", "400000 100000\n"}, {"/d/cpu.max", "300000 100000\n"}, {"/docker/abc/d/cpu.max", "100000 100000\n"}}, 3},
      {"v2, a mount of another part", "29 22 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/docker/abcd\n",
       {{"/cpu.max", "400000 100000\n"}, {"/d/cpu.max", "100000 100000\n"}}, 4},
      {"v1", std::string(kOthers) + kCpu, "4:memory:/m\n3:cpu,cpuacct:/a/b\n1:name=systemd:/\n",
       {{"/cpu,cpuacct/a/b/cpu.cfs_quota_us", "250000\n"}, {"/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n"}}, 3},
      {"v1, the parent's", kCpu, "3:cpu,cpuacct:/a/b\n",
       {{"/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n"}, {"/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n"},
        {"/cpu,cpuacct/a/cpu.cfs_quota_us", "100000\n"}, {"/cpu,cpuacct/a/cpu.cfs_period_us", "50000\n"}}, 2},
      {"v1, a container's mount", "33 32 0:30 /docker/x /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n", "3:cpu:/docker/x\n",
       {{"/cpu/cpu.cfs_quota_us", "120000\n"}, {"/cpu/cpu.cfs_period_us", "100000\n"}}, 2},
      {"v1, other controllers alone", "33 32 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n", "3:cpuset:/\n",
       {{"/cpuset/cpu.cfs_quota_us", "100000\n"}, {"/cpuset/cpu.cfs_period_us", "100000\n"}}, kNone},
      {"both side by side", both, "3:cpu,cpuacct:/a\n0::/a\n",
       {{"/cpu,cpuacct/a/cpu.cfs_quota_us", "400000\n"}, {"/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"}}, 4},
      {"none mounted", kOthers, "0::/a\n", {{"/a/cpu.max", "100000 100000\n"}}, kNone},
  };
  for (const Root& root : kRoots) {
    CAPTURE(std::string(root.name));
    CHECK(processors_in(root) == root.expected);
  }
}

TEST_CASE("files that make no sense are no quota") {
  for (const char* text : {"", "\n", "100000", "100000 ", "100000 0\n", "0 100000\n", "-100000 100000\n", "1e5 100000\n", "100000 1e5\n",
                           "100000 100000 100000\n", "99999999999999999999 100000\n", "100000,100000\n", "\377\376\n", "max\n", "max max\n"}) {
    CAPTURE(std::string(text));
    CHECK(processors_in({"", kUnified, "0::/a\n", {{"/a/cpu.max", text}}, 0}) == kNone);
  }
  const std::initializer_list<std::pair<const char*, const char*>> two = {{"/cpu.max", "200000 100000\n"}};
  for (const char* groups : {"", "\n", "::\n", "0:\n", "0::", "0::a\n", "0:cpu:/a\n", "1::/a\n", "no colons\n"}) {
    CAPTURE(std::string(groups));
    const std::size_t found = processors_in({"", kUnified, groups, two, 0});
    CHECK((found == kNone || found == 2));
  }
  const std::string folder(5000, 'a');
  CHECK(processors_in({"", kUnified, "0::/" + folder + "\n", two, 0}) != 1);
  CHECK(processors_in({"", "29 22 0:26 / /" + folder + " rw - cgroup2 c rw\n" + kUnified, "0::/\n", two, 0}) == 2);
  for (const char* mounts : {"", "\n", "29\n", "29 22 0:26 / /sys/fs/cgroup rw cgroup2\n", "29 22 0:26 / /sys/fs/cgroup rw -\n", " - cgroup2 c rw\n"})
    CHECK(processors_in({"", mounts, "0::/a\n", two, 0}) == kNone);
  CHECK(quota_processors("/no such folder") == kNone);
}

TEST_CASE("affinity and quota together are what a machine tells") {
  const Machine machine = detect_machine();
  CHECK(machine.processors >= 1);
  CHECK(machine.processors == std::min(affine_processors(), quota_processors("")));
  cpu_set_t before, one;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  CPU_ZERO(&one);
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  CPU_SET(first, &one);
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(detect_machine().processors == 1);
  REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
}

}  // namespace
}  // namespace edgeattn::test
