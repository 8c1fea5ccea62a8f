#pragma once

#include <doctest/doctest.h>

#include <array>
#include <cfenv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "kernel_checker.h"

/// What checks a table of kernels, row by row: between pages without access, at every alignment, under both denormal modes, and on
/// a stack of NaNs.
namespace edgeattn::test {

/// The table under test, and what calls through `Watched` found out about it.
template <class Table>
struct Watch {
  Table table = {};
  std::size_t calls = 0;
  bool control_kept = true;
  int flags = 0;  ///< exceptions on finite data
};
template <class Table>
inline Watch<Table> watch;

/// Clang divides whole vectors where two numbers are divided, and so zero by zero in what is left of them.
#ifdef __clang__
inline constexpr bool kCompilerKeepsFlags = false;
#else
inline constexpr bool kCompilerKeepsFlags = true;
#endif

/// Leaves NaNs where the next function's variables will be.
[[gnu::noinline]] inline void poison_stack() {
  char below[8192];
  std::memset(below, 0xFF, sizeof below);
  asm volatile("" : : "r"(below) : "memory");
}

/// Stands in for one entry of the table.
template <class Table, auto kEntry>
struct Watched;
template <class Table, class Owner, class... Arguments, void (*Owner::*kEntry)(Arguments...)>
struct Watched<Table, kEntry> {
  static void call(Arguments... arguments) {
    poison_stack();
    const std::uint32_t control = DenormalMode::control();
    std::feclearexcept(FE_ALL_EXCEPT);
    (watch<Table>.table.*kEntry)(arguments...);
    if (kCompilerKeepsFlags && !flags_may_rise) watch<Table>.flags |= std::fetestexcept(FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW);
    watch<Table>.control_kept = watch<Table>.control_kept && DenormalMode::control() == control;
    ++watch<Table>.calls;
  }
};

/// How a variant's results compare with the scalar ones.
enum class Agreement : std::uint8_t { kSameBits, kWithinBounds };

template <class Table>
struct Row {
  const char* name;
  CheckOf<Table>* check;
  TimingOf<Table>* time;
  Agreement agreement;
  void (*put_watched)(Table& table);  ///< fills in this row's entry
};

template <class Table, auto kEntry>
constexpr Row<Table> row(const char* name, CheckOf<Table>* check, TimingOf<Table>* time, Agreement agreement) {
  return {name, check, time, agreement, [](Table& table) { table.*kEntry = Watched<Table, kEntry>::call; }};
}

using Entry = void (*)();

/// The entries of a table that is made of nothing else.
template <class Kernels>
std::array<Entry, sizeof(Kernels) / sizeof(Entry)> entries(const Kernels& kernels) {
  std::array<Entry, sizeof(Kernels) / sizeof(Entry)> result;
  std::memcpy(result.data(), &kernels, sizeof kernels);
  return result;
}

/// What `check` finds with buffers placed like this; none of the calls may change the control bits.
template <class Table>
Findings run(CheckOf<Table>* check, const Table& table, Placement placement, bool flush) {
  buffer_placement = placement;
  Findings findings;
  const DenormalMode mode(flush);
  check(table, findings);
  CHECK_MESSAGE(findings.problem().empty(), findings.problem());
  CHECK(findings.results() > 0);
  return findings;
}

/// Wherever buffers lie, and with denormals flushed, the bits are the same.
template <class Table>
Findings run_everywhere(CheckOf<Table>* check, const Table& table) {
  const Findings first = run(check, table, Placement::kEnd, false);
  constexpr std::pair<Placement, bool> kOthers[] = {{Placement::kBegin, false}, {Placement::kMoved, false}, {Placement::kEnd, true}};
  for (const auto& other : kOthers) {
    const Placement placement = other.first;
    const bool flush = other.second;
    CAPTURE(static_cast<int>(placement));
    CAPTURE(flush);
    CHECK(run(check, table, placement, flush).digest() == first.digest());
  }
  return first;
}

inline void compare(const Findings& ours, const Findings& scalar, Agreement agreement) {
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

/// The table with one entry under watch, as for the others a check of it has no use.
template <class Table>
Table watched(const Row<Table>& row, const Table& table) {
  watch<Table> = {.table = table};
  Table result = without_entries(table);
  row.put_watched(result);
  return result;
}

template <class Table>
Findings check_row(const Row<Table>& row, const Table& table) {
  Findings ours = run_everywhere(row.check, watched(row, table));
  CHECK(watch<Table>.calls > 0);
  CHECK(watch<Table>.control_kept);
  CHECK(watch<Table>.flags == 0);
  return ours;
}

template <class Table>
void compare_with_scalar(const Row<Table>& row, const Findings& ours, const Table& scalar) {
  compare(ours, run(row.check, watched(row, scalar), Placement::kEnd, false), row.agreement);
}

}  // namespace edgeattn::test
