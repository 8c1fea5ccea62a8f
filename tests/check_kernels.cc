// Every entry of the kernel table against its contract, a float64 oracle and the scalar reference: between pages without access, at
// every alignment, under both denormal modes, and on a stack of NaNs. With --bench, times them too.

#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "kernel_checker.h"
#include "support.h"

namespace edgeattn::test {
namespace {

/// The table under test, and what calls through `Watched` found out about it.
struct Watch {
  Kernels kernels = {};
  std::size_t calls = 0;
  bool control_kept = true;
};
Watch watch;

/// Leaves NaNs where the next function's variables will be.
[[gnu::noinline]] void poison_stack() {
  char below[8192];
  std::memset(below, 0xFF, sizeof below);
  asm volatile("" : : "r"(below) : "memory");
}

/// Stands in for one entry of the table.
template <auto kEntry>
struct Watched;
template <class... Arguments, void (*Kernels::*kEntry)(Arguments...)>
struct Watched<kEntry> {
  static void call(Arguments... arguments) {
    poison_stack();
    const std::uint32_t control = DenormalMode::control();
    (watch.kernels.*kEntry)(arguments...);
    watch.control_kept = watch.control_kept && DenormalMode::control() == control;
    ++watch.calls;
  }
};

using Entry = void (*)();
using Entries = std::array<Entry, sizeof(Kernels) / sizeof(Entry)>;

/// How a variant's results compare with the scalar ones.
enum class Agreement : std::uint8_t { kSameBits, kWithinBounds };

struct Row {
  const char* name;
  Check* check;
  Timing* time;
  Agreement agreement;
  void (*put_watched)(Kernels& table);  ///< fills in this row's entry
};

template <auto kEntry>
constexpr Row row(const char* name, Check* check, Timing* time, Agreement agreement) {
  return {name, check, time, agreement, [](Kernels& table) { table.*kEntry = Watched<kEntry>::call; }};
}

constexpr Row kRows[] = {
    row<&Kernels::statistics>("statistics", check_statistics, time_statistics, Agreement::kWithinBounds),
    row<&Kernels::pack>("pack", check_pack, time_pack, Agreement::kSameBits),
    row<&Kernels::unpack_rows>("unpack_rows", check_unpack_rows, time_unpack_rows, Agreement::kSameBits),
    row<&Kernels::exp2>("exp2", check_exp2, time_exp2, Agreement::kWithinBounds),
    row<&Kernels::softmax>("softmax", check_softmax, time_softmax, Agreement::kWithinBounds),
    row<&Kernels::accumulate>("accumulate", check_accumulate, time_accumulate, Agreement::kWithinBounds),
    row<&Kernels::normalize_rows>("normalize_rows", check_normalize_rows, time_normalize_rows, Agreement::kSameBits),
    row<&Kernels::poison_rows>("poison_rows", check_poison_rows, time_poison_rows, Agreement::kSameBits),
    row<&Kernels::add_residual>("add_residual", check_add_residual, time_add_residual, Agreement::kSameBits),
    row<&Kernels::fold>("fold", check_fold, time_fold, Agreement::kSameBits),
    row<&Kernels::transpose>("transpose", check_transpose, time_transpose, Agreement::kSameBits),
    row<&Kernels::gemm>("gemm", check_gemm, time_gemm, Agreement::kWithinBounds),
};
static_assert(std::size(kRows) == std::tuple_size_v<Entries>, "every kernel of the table needs a row");

Entries entries(const Kernels& kernels) {
  Entries result;
  std::memcpy(result.data(), &kernels, sizeof kernels);
  return result;
}

Kernels kernels_of(KernelSet set) {
  Kernels kernels;
  kernels_init(kernels, set);
  return kernels;
}

/// The table with one entry under watch, as for the others a check of it has no use.
Kernels watched(const Row& row, KernelSet set) {
  watch = {.kernels = kernels_of(set)};
  Kernels table = {};
  row.put_watched(table);
  return table;
}

/// What `check` finds with buffers placed like this; none of the calls may change the control bits.
Findings run(Check* check, const Kernels& kernels, Placement placement, bool flush) {
  Buffer::placement = Guarded<double>::placement = placement;
  Findings findings;
  const DenormalMode mode(flush);
  check(kernels, findings);
  CHECK_MESSAGE(findings.problem().empty(), findings.problem());
  CHECK(findings.results() > 0);
  return findings;
}

/// Wherever buffers lie, and with denormals flushed, the bits are the same.
Findings run_everywhere(Check* check, const Kernels& kernels) {
  const Findings first = run(check, kernels, Placement::kEnd, false);
  constexpr std::pair<Placement, bool> kOthers[] = {{Placement::kBegin, false}, {Placement::kMoved, false}, {Placement::kEnd, true}};
  for (const auto& other : kOthers) {
    const Placement placement = other.first;
    const bool flush = other.second;
    CAPTURE(static_cast<int>(placement));
    CAPTURE(flush);
    CHECK(run(check, kernels, placement, flush).digest() == first.digest());
  }
  return first;
}

void compare(const Findings& ours, const Findings& scalar, Agreement agreement) {
  REQUIRE(ours.results() == scalar.results());
  if (agreement == Agreement::kSameBits) {
    CHECK(ours.digest() == scalar.digest());
    return;
  }
  REQUIRE(!ours.bounded().empty());
  REQUIRE(ours.bounded().size() == scalar.bounded().size());
  std::size_t apart = 0;
  for (std::size_t i = 0; i < ours.bounded().size(); ++i) {
    const auto &a = ours.bounded()[i], &b = scalar.bounded()[i];
    const bool same = a.value == b.value || (std::isnan(a.value) && std::isnan(b.value));
    if (!same && !(std::abs(a.value - b.value) <= a.bound + b.bound)) ++apart;
  }
  CHECK(apart == 0);
}

void check_row(const Row& row) {
  const Findings ours = run_everywhere(row.check, watched(row, kernel_set()));
  CHECK(watch.calls > 0);
  CHECK(watch.control_kept);
  if (kernel_set() == KernelSet::kScalar) return;
  compare(ours, run(row.check, watched(row, KernelSet::kScalar), Placement::kEnd, false), row.agreement);
}

}  // namespace

TEST_CASE("every kernel keeps its contract, and agrees with the scalar one") {
  for (const Row& row : kRows) {
    SUBCASE(row.name) check_row(row);  // whose name a crash tells too
  }
}

TEST_CASE("kernels of any panel layout keep their contract") { run_everywhere(check_any_layout, kernels_of(KernelSet::kScalar)); }

TEST_CASE("every entry of the table has a row, and each instruction set overrides every scalar kernel") {
  Kernels table = {};
  for (const Row& row : kRows) row.put_watched(table);
  for (Entry entry : entries(table)) CHECK((entry != nullptr));
  if (kernel_set() == KernelSet::kScalar) return;
  const Entries scalar = entries(kernels_of(KernelSet::kScalar)), ours = entries(kernels_of(kernel_set()));
  for (std::size_t i = 0; i < ours.size(); ++i) {
    CAPTURE(std::string(kRows[i].name));
    CHECK((ours[i] != nullptr));
    CHECK((ours[i] != scalar[i]));
  }
}

TEST_CASE("the ladder") {
  CHECK(kernels_built(KernelSet::kScalar));
  CHECK(kernels_built(kernel_set()));
}

TEST_CASE("times, with --bench") {
  if (!bench()) return;
  std::printf("ns per element  %8s %8s\n", to_string(Isa::kScalar), to_string(isa()));
  for (const Row& row : kRows) {
    const double scalar = row.time(kernels_of(KernelSet::kScalar)), ours = row.time(kernels_of(kernel_set()));
    std::printf("%-14s  %8.3f %8.3f  %5.1f times as fast\n", row.name, scalar, ours, scalar / ours);
  }
}

}  // namespace edgeattn::test
