// Every entry of the table of reduced precision against its contract, a float64 oracle and the scalar reference, as check_kernels.cc
// does it. With --bench, times them too.

#include <doctest/doctest.h>

#include <cstdio>
#include <iterator>
#include <string>

#include "reduced_checker.h"
#include "support.h"
#include "table_checker.h"

namespace edgeattn::test {
namespace {

template <auto kEntry>
constexpr auto row(const char* name, ReducedCheck* check, ReducedTiming* time, Agreement agreement) {
  return test::row<Reduced, kEntry>(name, check, time, agreement);
}

constexpr Row<Reduced> kRows[] = {
    row<&Reduced::round_rows>("round_rows", check_round_rows, time_round_rows, Agreement::kSameBits),
    row<&Reduced::quantize_rows>("quantize_rows", check_quantize_rows, time_quantize_rows, Agreement::kSameBits),
    row<&Reduced::pack_half_columns>("pack_half_columns", check_pack_half_columns, time_pack_half_columns, Agreement::kSameBits),
    row<&Reduced::pack_int8_columns>("pack_int8_columns", check_pack_int8_columns, time_pack_int8_columns, Agreement::kSameBits),
    row<&Reduced::pack_rows>("pack_rows", check_pack_rows, time_pack_rows, Agreement::kSameBits),
    row<&Reduced::unpack_half_rows>("unpack_half_rows", check_unpack_half_rows, time_unpack_half_rows, Agreement::kSameBits),
    row<&Reduced::softmax_half>("softmax_half", check_softmax_half, time_softmax_half, Agreement::kWithinBounds),
    row<&Reduced::gemm_half>("gemm_half", check_gemm_half, time_gemm_half, Agreement::kWithinBounds),
    row<&Reduced::gemm_int8>("gemm_int8", check_gemm_int8, time_gemm_int8, Agreement::kSameBits),
};
static_assert(std::size(kRows) == sizeof(ReducedKernels) / sizeof(Entry), "every kernel of the table needs a row");

Reduced table_of(ReducedSet set) {
  Reduced table;
  reduced_init(table, table.traits, set);
  return table;
}

}  // namespace

TEST_CASE("every kernel of reduced precision keeps its contract, and agrees with the scalar one") {
  const Reduced ours = table_of(reduced_set()), scalar = table_of(ReducedSet::kScalar);
  for (const Row<Reduced>& row : kRows) {
    SUBCASE(row.name) {  // whose name a crash tells too
      const Findings findings = check_row(row, ours);
      // Elements of another format are other numbers.
      const bool comparable = ours.traits.half_is_fp16 == scalar.traits.half_is_fp16 || row.check != check_round_rows;
      if (reduced_set() != ReducedSet::kScalar && comparable) compare_with_scalar(row, findings, scalar);
    }
  }
}

TEST_CASE("every entry of the table of reduced precision has a row, and each set overrides every scalar kernel") {
  Reduced table = {};
  for (const Row<Reduced>& row : kRows) row.put_watched(table);
  for (Entry entry : entries<ReducedKernels>(table)) CHECK((entry != nullptr));
  if (reduced_set() == ReducedSet::kScalar) return;
  const auto scalar = entries<ReducedKernels>(table_of(ReducedSet::kScalar)), ours = entries<ReducedKernels>(table_of(reduced_set()));
  for (std::size_t i = 0; i < ours.size(); ++i) {
    CAPTURE(std::string(kRows[i].name));
    CHECK((ours[i] != nullptr));
    CHECK((ours[i] != scalar[i]));
  }
}

TEST_CASE("operands are such as the contracts allow") {
  const ReducedTraits traits = table_of(reduced_set()).traits;
  CHECK(traits.nr % 8 == 0);
  CHECK(traits.nr <= 64);
  CHECK(traits.mr >= 1);
  CHECK((traits.half_group == 2 || traits.half_group == 4 || traits.half_group == 8));
  CHECK((traits.int8_group == 4 || traits.int8_group == 8));
  CHECK((traits.flip == 0 || traits.flip == 0x80));
}

TEST_CASE("times of reduced precision, with --bench") {
  if (!bench()) return;
  const Reduced scalar_table = table_of(ReducedSet::kScalar), our_table = table_of(reduced_set());
  std::printf("ns per element     %8s %8s\n", "scalar", name_of(reduced_set()));
  for (const Row<Reduced>& row : kRows) {
    const double scalar = row.time(scalar_table), ours = row.time(our_table);
    std::printf("%-17s  %8.4f %8.4f  %5.1f times as fast\n", row.name, scalar, ours, scalar / ours);
  }
  for (std::size_t depth : {512u, 256u})
    std::printf("126 rows, %zu inputs, 512 outputs: gemm_half %.0f GFLOP/s, gemm_int8 %.0f\n", depth,
                2 / time_gemm_half_of(our_table, depth), 2 / time_gemm_int8_of(our_table, depth));
}

}  // namespace edgeattn::test
