// Every entry of the kernel table against its contract, a float64 oracle and the scalar reference: between pages without access, at
// every alignment, under both denormal modes, and on a stack of NaNs. With --bench, times them too.

#include <doctest/doctest.h>

#include <cstdio>
#include <iterator>
#include <string>

#include "kernel_checker.h"
#include "support.h"
#include "table_checker.h"

namespace edgeattn::test {
namespace {

template <auto kEntry>
constexpr auto row(const char* name, Check* check, Timing* time, Agreement agreement) {
  return test::row<Kernels, kEntry>(name, check, time, agreement);
}

constexpr Row<Kernels> kRows[] = {
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
static_assert(std::size(kRows) == sizeof(Kernels) / sizeof(Entry), "every kernel of the table needs a row");

Kernels kernels_of(KernelSet set) {
  Kernels kernels;
  kernels_init(kernels, set);
  return kernels;
}

}  // namespace

TEST_CASE("every kernel keeps its contract, and agrees with the scalar one") {
  for (const Row<Kernels>& row : kRows) {
    SUBCASE(row.name) {  // whose name a crash tells too
      const Findings ours = check_row(row, kernels_of(kernel_set()));
      if (kernel_set() != KernelSet::kScalar) compare_with_scalar(row, ours, kernels_of(KernelSet::kScalar));
    }
  }
}

TEST_CASE("kernels of any panel layout keep their contract") { run_everywhere(check_any_layout, kernels_of(KernelSet::kScalar)); }

TEST_CASE("every entry of the table has a row, and each instruction set overrides every scalar kernel") {
  Kernels table = {};
  for (const Row<Kernels>& row : kRows) row.put_watched(table);
  for (Entry entry : entries(table)) CHECK((entry != nullptr));
  if (kernel_set() == KernelSet::kScalar) return;
  const auto scalar = entries(kernels_of(KernelSet::kScalar)), ours = entries(kernels_of(kernel_set()));
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
  for (const Row<Kernels>& row : kRows) {
    const double scalar = row.time(kernels_of(KernelSet::kScalar)), ours = row.time(kernels_of(kernel_set()));
    std::printf("%-14s  %8.3f %8.3f  %5.1f times as fast\n", row.name, scalar, ours, scalar / ours);
  }
}

}  // namespace edgeattn::test
