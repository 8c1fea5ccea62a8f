#include <doctest/doctest.h>

#include <array>
#include <cstring>

#include "kernel_checker.h"
#include "support.h"

namespace edgeattn::test {
namespace {

struct Row {
  const char* name;
  Check* check;
};

constexpr Row kRows[] = {
    {"statistics", check_statistics},
    {"pack", check_pack},
    {"unpack_rows", check_unpack_rows},
    {"exp2", check_exp2},
    {"softmax", check_softmax},
    {"accumulate", check_accumulate},
    {"normalize_rows", check_normalize_rows},
    {"poison_rows", check_poison_rows},
    {"add_residual", check_add_residual},
    {"fold", check_fold},
    {"transpose", check_transpose},
};

using Entry = void (*)();
constexpr std::size_t kEntries = sizeof(Kernels) / sizeof(Entry);
static_assert(std::size(kRows) == kEntries, "every kernel of the table needs a checker");

std::array<Entry, kEntries> entries(KernelSet set) {
  Kernels kernels;
  kernels_init(kernels, set);
  std::array<Entry, kEntries> result;
  std::memcpy(result.data(), &kernels, sizeof kernels);
  return result;
}

/// Runs one checker as it is, with denormals flushed, and at other addresses: all three must agree bit for bit.
void run(const char* name, Check* check) {
  CAPTURE(name);
  Kernels kernels;
  kernels_init(kernels, kernel_set());
  Findings plain;
  check(kernels, plain);
  CHECK_MESSAGE(plain.problem().empty(), plain.problem());
  CHECK(plain.results() > 0);

  Findings flushed;
  {
    const DenormalMode mode(true);
    const std::uint32_t control = DenormalMode::control();
    check(kernels, flushed);
    CHECK(DenormalMode::control() == control);
  }
  CHECK_MESSAGE(flushed.problem().empty(), flushed.problem());
  CHECK(flushed.digest() == plain.digest());

  Findings moved;
  Buffer::shift_bytes = 5 * sizeof(float);
  check(kernels, moved);
  Buffer::shift_bytes = 0;
  CHECK_MESSAGE(moved.problem().empty(), moved.problem());
  CHECK(moved.digest() == plain.digest());
}

}  // namespace

TEST_CASE("every kernel keeps its contract") {
  for (const Row& row : kRows) run(row.name, row.check);
}

TEST_CASE("kernels of any panel layout keep their contract") { run("any layout", check_any_layout); }

TEST_CASE("each instruction set overrides every scalar kernel") {
  if (kernel_set() == KernelSet::kScalar) return;
  const auto scalar = entries(KernelSet::kScalar);
  const auto ours = entries(kernel_set());
  for (std::size_t i = 0; i < kEntries; ++i) {
    CAPTURE(kRows[i].name);
    CHECK((ours[i] != nullptr));
    CHECK((ours[i] != scalar[i]));
  }
}

TEST_CASE("the ladder") {
  CHECK(kernels_built(KernelSet::kScalar));
  CHECK(kernels_built(kernel_set()));
}

}  // namespace edgeattn::test
