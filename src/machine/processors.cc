#include "machine/processors.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

namespace edgeattn {
namespace {

/// The longest line and path that are read: paths of control groups are shorter, and these lie on the stack.
constexpr std::size_t kLongest = 1024;

/// Reads a file line by line. What is longer than kLongest is cut.
class Lines {
 public:
  explicit Lines(const char* path) noexcept : file_(open(path, O_RDONLY | O_CLOEXEC)) {}
  ~Lines() {
    if (file_ >= 0) close(file_);
  }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;

  /// False at the end.
  bool next(std::string_view& line) noexcept {
    std::size_t length = 0;
    bool any = false;
    for (char c = 0; take(c);) {
      any = true;
      if (c == '\n') break;
      if (length < sizeof line_) line_[length++] = c;
    }
    line = {line_, length};
    return any;
  }

 private:
  bool take(char& c) noexcept {
    if (at_ == end_) {
      const ssize_t count = file_ < 0 ? 0 : read(file_, buffer_, sizeof buffer_);
      if (count <= 0) return false;
      at_ = 0;
      end_ = static_cast<std::size_t>(count);
    }
    c = buffer_[at_++];
    return true;
  }

  int file_;
  std::size_t at_ = 0, end_ = 0;
  char buffer_[512];
  char line_[kLongest];
};

/// Takes what stands before the next `separator`, and that too.
std::string_view take_field(std::string_view& text, char separator) noexcept {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view field = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return field;
}

bool has_word(std::string_view list, std::string_view word) noexcept {
  while (!list.empty())
    if (take_field(list, ',') == word) return true;
  return false;
}

/// A path that is put together on the stack; one that would not fit is empty.
class Path {
 public:
  Path& operator+=(std::string_view part) noexcept {
    if (fits_ && part.size() < sizeof text_ - length_) {
      part.copy(text_ + length_, part.size());
      length_ += part.size();
    } else {
      fits_ = false;
    }
    return *this;
  }
  void cut(std::size_t length) noexcept { length_ = std::min(length, length_); }
  [[nodiscard]] std::size_t length() const noexcept { return length_; }
  [[nodiscard]] std::string_view text() const noexcept { return {text_, length_}; }
  [[nodiscard]] const char* c_str() noexcept {
    text_[fits_ ? length_ : 0] = '\0';
    return text_;
  }

 private:
  std::size_t length_ = 0;
  bool fits_ = true;
  char text_[kLongest];
};

bool parse(std::string_view text, std::uint64_t& number) noexcept {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

/// "150000" of "100000" microseconds → 2. "max", -1 and what makes no sense are no quota.
std::size_t whole_processors(std::string_view quota, std::string_view period) noexcept {
  std::uint64_t used = 0, of = 0;
  if (!parse(quota, used) || !parse(period, of) || used == 0 || of == 0) return SIZE_MAX;
  return static_cast<std::size_t>(std::min<std::uint64_t>(used / of + (used % of != 0 ? 1 : 0), SIZE_MAX));
}

/// What one group allows, which may be no more than its parents do.
std::size_t quota_of(Path folder, bool unified) noexcept {
  const std::size_t length = folder.length();
  const auto read = [&](std::string_view name, auto use) {
    folder.cut(length);
    folder += name;
    std::string_view line;
    Lines lines(folder.c_str());
    return lines.next(line) ? use(line) : SIZE_MAX;
  };
  if (unified) {
    return read("/cpu.max", [](std::string_view line) {
      const std::string_view quota = take_field(line, ' ');
      return whole_processors(quota, line);
    });
  }
  return read("/cpu.cfs_quota_us", [&](std::string_view quota) {
    return read("/cpu.cfs_period_us", [&](std::string_view period) { return whole_processors(quota, period); });
  });
}

/// A mounted hierarchy of groups that has quotas.
struct Mount {
  std::string_view shown;  ///< the group that stands at `place`: "/" for all
  std::string_view place;
  bool unified = false;  ///< cgroup v2
};

/// Reads a line of mountinfo (proc_pid_mountinfo(5)). False if it is of other things.
bool read_mount(std::string_view line, Mount& mount) noexcept {
  for (int skipped = 0; skipped < 3; ++skipped) take_field(line, ' ');
  mount.shown = take_field(line, ' ');
  mount.place = take_field(line, ' ');
  while (!line.empty() && take_field(line, ' ') != "-") {}
  const std::string_view type = take_field(line, ' ');
  take_field(line, ' ');
  mount.unified = type == "cgroup2";
  return mount.unified || (type == "cgroup" && has_word(line, "cpu"));
}

/// The path below `mount` of the group that a line of /proc/self/cgroup names. False if that is of another hierarchy.
bool read_group(std::string_view line, const Mount& mount, std::string_view& group) noexcept {
  const std::string_view id = take_field(line, ':'), controllers = take_field(line, ':');
  if (mount.unified ? id != "0" || !controllers.empty() : !has_word(controllers, "cpu")) return false;
  group = line;
  if (mount.shown != "/") {
    // What does not lie below it is a name in another namespace: then the group is the one that is shown.
    const bool below = group.starts_with(mount.shown) && (group.size() == mount.shown.size() || group[mount.shown.size()] == '/');
    group = below ? group.substr(mount.shown.size()) : std::string_view();
  }
  if (group == "/" || !group.starts_with('/') || group.find("/..") != std::string_view::npos) group = {};
  return true;
}

/// The least of what the process's group and all above it allow.
std::size_t quota_in(const char* root, const Mount& mount) noexcept {
  Path groups;
  groups += root;
  groups += "/proc/self/cgroup";
  std::size_t least = SIZE_MAX;
  std::string_view line, group;
  for (Lines lines(groups.c_str()); lines.next(line);) {
    if (!read_group(line, mount, group)) continue;
    Path folder;
    folder += root;
    folder += mount.place;
    const std::size_t top = folder.length();
    folder += group;
    while (true) {
      least = std::min(least, quota_of(folder, mount.unified));
      if (folder.length() <= top) break;
      folder.cut(std::max(folder.text().rfind('/'), top));
    }
  }
  return least;
}

}  // namespace

std::size_t affine_processors() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<std::size_t>(CPU_COUNT(&set));
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? static_cast<std::size_t>(online) : 1;
}

std::size_t quota_processors(const char* root) noexcept {
  Path mounts;
  mounts += root;
  mounts += "/proc/self/mountinfo";
  std::size_t least = SIZE_MAX;
  std::string_view line;
  for (Lines lines(mounts.c_str()); lines.next(line);) {
    Mount mount;
    if (read_mount(line, mount)) least = std::min(least, quota_in(root, mount));
  }
  return least;
}

}  // namespace edgeattn
