#include <cstdint>
#include <string_view>

#include "harness.h"
#include "plan/precision.h"
#include "plan_checks.h"

/// Which kernels of reduced precision a processor gets, and what their operands look like.
namespace edgeattn::test {
namespace {

TEST_CASE("a precision takes the best kernels that the processor has, or says what it lacks") {
  constexpr const char* kX86 = "needs AVX512-BF16 and AVX512-VNNI, which";
  constexpr const char* kArm = "needs dot products and fp16 arithmetic, or i8mm and bf16, which this processor lacks";
  struct Row {
    const char* lacks;  ///< null if nothing, but that the build may not have it
    Isa isa;
    Machine machine;
    ReducedSet set;
  };
  const Row rows[] = {
      {nullptr, Isa::kScalar, {}, ReducedSet::kScalar},
      {"avx2 does not include", Isa::kAvx2, {.avx2 = true}, {}},
      {kX86, Isa::kAvx512, {}, {}},
      {kX86, Isa::kAvx512, {.avx512 = true}, {}},
      {kX86, Isa::kAvx512, {.avx512 = true, .avx512_bf16 = true}, {}},
      {kX86, Isa::kAvx512, {.avx512 = true, .avx512_vnni = true}, {}},
      {nullptr, Isa::kAvx512, {.avx512 = true, .avx512_bf16 = true, .avx512_vnni = true}, ReducedSet::kAvx512},
      {kArm, Isa::kNeon, {.neon = true}, {}},
      {kArm, Isa::kNeon, {.neon = true, .dotprod = true}, {}},
      {kArm, Isa::kNeon, {.neon = true, .i8mm = true}, {}},
      {nullptr, Isa::kNeon, {.neon = true, .dotprod = true, .fp16 = true}, ReducedSet::kDotprod},
      {nullptr, Isa::kNeon, {.neon = true, .dotprod = true, .fp16 = true, .i8mm = true, .bf16 = true}, ReducedSet::kI8mm},
  };
  for (const Row& row : rows) {
    for (const Precision precision : {Precision::kBfloat16, Precision::kInt8}) {
      CAPTURE(std::string(to_string(row.isa)));
      CAPTURE(row.set);
      ReducedSet set{};
      const Status status = choose_reduced(precision, row.isa, row.machine, set);
      if (row.lacks != nullptr) {
        CHECK_FAILS(status, StatusCode::kUnsupported, row.lacks);
        CHECK_FAILS(status, StatusCode::kUnsupported, to_string(precision));
      } else if (reduced_built(row.set)) {
        CHECK(status.ok());
        CHECK((set == row.set));
        CHECK(supports(row.machine, row.set));
      } else {
        CHECK_FAILS(status, StatusCode::kUnsupported, "this build has no kernels");
      }
      REQUIRE_OK(choose_reduced(Precision::kFloat32, row.isa, row.machine, set));
    }
  }
  CHECK(std::string_view(to_string(static_cast<Precision>(9))) == "?");
  CHECK(!supports({}, static_cast<ReducedSet>(9)));
}

TEST_CASE("operands of reduced precision: sizes, and what is too large") {
  const Gemm gemm = made_up_gemm(true);
  PanelLayout layout;
  REQUIRE_OK(operand_layout(Precision::kInt8, ReducedSet::kScalar, gemm, Operand::kKeys, 70, 33, layout));
  CHECK(layout.element_bytes == 1);
  CHECK(layout.header_bytes == 8);
  CHECK(layout.depth() == 72);
  CHECK(layout.bytes() == layout.panels() * layout.nr * (8 + 72));
  REQUIRE_OK(operand_layout(Precision::kInt8, ReducedSet::kScalar, gemm, Operand::kValues, 70, 33, layout));
  CHECK(layout.element_bytes == 2);
  CHECK(layout.bytes() == layout.panels() * layout.nr * (4 + 70 * 2));
  // Element (k, j) stands in group k/kr, column j, place k mod kr.
  CHECK(layout.byte_offset(5, 1) == layout.nr * 4 + (5 / layout.kr * layout.nr + 1) * layout.kr * 2 + 5 % layout.kr * 2);
  CHECK_FAILS(operand_layout(Precision::kInt8, ReducedSet::kScalar, gemm, Operand::kKeys, kMostInt8Inputs + 1, 8, layout),
              StatusCode::kInvalidArgument, "at most 32768 channels a head, got 32769");
  CHECK_FAILS(operand_layout(Precision::kBfloat16, ReducedSet::kScalar, gemm, Operand::kKeys, SIZE_MAX / 4, 8, layout),
              StatusCode::kInvalidArgument, "too large");
}

TEST_CASE("plans of reduced precision hold together, and shrink with their operands") {
  for (const std::size_t heads : {1u, 4u}) {
    for (const Shape& shape : {Shape{1, 8, 8}, Shape{2, 25, 31}, Shape{1, 64, 64}}) {
      std::size_t scratch = SIZE_MAX;
      for (const Precision precision : {Precision::kFloat32, Precision::kBfloat16, Precision::kInt8}) {
        CAPTURE(heads);
        CAPTURE(std::string(to_string(precision)));
        Plan result;
        const PlanOptions options{.threads = 3, .isa = Isa::kScalar, .precision = precision};
        REQUIRE_OK(plan({.channels = 128, .heads = heads}, shape, options, detect_machine(), gemm(), result));
        CHECK(fault_of_map(result) == "");
        CHECK(result.precision == precision);
        if (shape.tokens() > 1000) CHECK(result.scratch_bytes < scratch);
        scratch = result.scratch_bytes;
      }
    }
  }
}

}  // namespace
}  // namespace edgeattn::test
