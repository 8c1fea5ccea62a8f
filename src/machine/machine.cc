#include "edgeattn/machine.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "machine/features.h"
#include "machine/processors.h"

namespace edgeattn {
namespace {

/// The first line of a small file of sysfs; empty when it cannot be read.
class SysfsLine {
 public:
  explicit SysfsLine(const char* path) noexcept {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    const ssize_t count = read(file, text_, sizeof text_);
    close(file);
    if (count > 0) line_ = std::string_view(text_, static_cast<std::size_t>(count));
    line_ = line_.substr(0, line_.find('\n'));
  }

  [[nodiscard]] std::string_view text() const noexcept { return line_; }

 private:
  char text_[256];
  std::string_view line_;
};

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::size_t take_number(std::string_view& text) noexcept {
  std::size_t number = 0;
  while (!text.empty() && is_digit(text.front())) {
    number = number * 10 + static_cast<std::size_t>(text.front() - '0');
    text.remove_prefix(1);
  }
  return number;
}

/// "1024K" → 1048576.
std::size_t parse_size(std::string_view text) noexcept {
  const std::size_t number = take_number(text);
  if (text.starts_with('K')) return number << 10;
  if (text.starts_with('M')) return number << 20;
  return number;
}

/// "0-3,8" → 5.
std::size_t count_list(std::string_view text) noexcept {
  std::size_t count = 0;
  while (!text.empty() && is_digit(text.front())) {
    const std::size_t first = take_number(text);
    std::size_t last = first;
    if (text.starts_with('-')) {
      text.remove_prefix(1);
      last = take_number(text);
    }
    count += last >= first ? last - first + 1 : 0;
    if (text.starts_with(',')) text.remove_prefix(1);
  }
  return count;
}

void detect_caches(Machine& machine) noexcept {
  char path[] = "/sys/devices/system/cpu/cpu0/cache/index0/shared_cpu_list";
  constexpr std::size_t kDirectory = sizeof "/sys/devices/system/cpu/cpu0/cache/index0/" - 1;
  const auto read_line = [&path](char index, std::string_view name) noexcept {
    path[kDirectory - 2] = index;
    name.copy(path + kDirectory, name.size());
    path[kDirectory + name.size()] = '\0';
    return SysfsLine(path);
  };
  for (char index = '0'; index <= '9'; ++index) {
    const SysfsLine level = read_line(index, "level");
    if (level.text().empty()) break;
    if (read_line(index, "type").text() == "Instruction") continue;
    const std::size_t bytes = parse_size(read_line(index, "size").text());
    if (bytes == 0) continue;
    if (level.text() == "1") machine.l1d_bytes = bytes;
    if (level.text() == "3") machine.l3_bytes = bytes;
    if (level.text() == "2") {
      machine.l2_bytes = bytes;
      const std::size_t sharing = count_list(read_line(index, "shared_cpu_list").text());
      if (sharing > 0) machine.l2_sharing_processors = sharing;
    }
  }
}

}  // namespace

const char* to_string(Isa isa) noexcept {
  switch (isa) {
    case Isa::kAuto: return "auto";
    case Isa::kScalar: return "scalar";
    case Isa::kAvx2: return "avx2";
    case Isa::kAvx512: return "avx512";
    case Isa::kNeon: return "neon";
  }
  return "?";
}

bool Machine::has(Isa isa) const noexcept {
  switch (isa) {
    case Isa::kAuto:
    case Isa::kScalar: return true;
    case Isa::kAvx2: return avx2;
    case Isa::kAvx512: return avx512;
    case Isa::kNeon: return neon;
  }
  return false;
}

Isa Machine::best_isa() const noexcept {
  if (avx512) return Isa::kAvx512;
  if (avx2) return Isa::kAvx2;
  if (neon) return Isa::kNeon;
  return Isa::kScalar;
}

Machine detect_machine() noexcept {
  Machine machine;
  const CpuFeatures features = detect_features();
  machine.avx2 = features.avx2;
  machine.avx512 = features.avx512;
  machine.neon = features.neon;
  machine.avx512_bf16 = features.avx512_bf16;
  machine.avx512_vnni = features.avx512_vnni;
  machine.avx512_two_fma = features.avx512_two_fma;
  machine.dotprod = features.dotprod;
  machine.fp16 = features.fp16;
  machine.i8mm = features.i8mm;
  machine.bf16 = features.bf16;
  const std::size_t affine = affine_processors();
  machine.processors = std::min(affine, quota_processors(""));
  machine.l2_sharing_processors = affine;
  detect_caches(machine);
  return machine;
}

}  // namespace edgeattn
