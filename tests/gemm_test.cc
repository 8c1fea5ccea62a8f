#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "block/fold.h"
#include "edgeattn/tensor.h"
#include "gemm/builtin.h"
#include "harness.h"
#include "plan/isa.h"

namespace edgeattn::test {
namespace {

/// XNNPACK, where the build has it, and the built-in GEMM.
const std::vector<Gemm>& gemms() {
  static const std::vector<Gemm> all = [] {
    std::vector<Gemm> made(1);
    REQUIRE_OK(builtin_gemm(detect_machine(), made[0]));
#if EDGEATTN_XNNPACK
    REQUIRE_OK(gemm_traits(detect_machine(), made.emplace_back(), GemmChoice::kXnnpack));
#endif
    return made;
  }();
  return all;
}

/// Where the operators of `gemm` come from.
GemmSource source_of(const Gemm& gemm) {
  Kernels best;
  GemmSource source;
  REQUIRE_OK(best_kernels(detect_machine(), best));
  REQUIRE_OK(find_gemm(gemm.name, gemm.operand_offset, best, source));
  return source;
}

/// Multiplies random rows with operand after operand on one operator, against float64.
void check_products(const Gemm& gemm, std::size_t k, std::size_t n) {
  PanelLayout layout;
  REQUIRE_OK(gemm.probe(k, n, layout));
  AlignedBytes object(gemm.operator_bytes), work(layout.size() * sizeof(float));
  Operator op;
  REQUIRE_OK(create_operator(shape_of(layout, k + 3, n + 5), source_of(gemm), {object.data(), object.size()},
                             {work.data(), work.size()}, op));
  CHECK(op.object >= object.data());
  CHECK(op.object < object.data() + object.size());
  std::mt19937_64 engine = random_engine(k * 1000 + n);
  for (int which = 0; which < 3; ++which) {
    AlignedBytes operand(layout.size() * sizeof(float));
    const std::vector<float> weight = normal_values(engine, k * n), bias = normal_values(engine, n);
    for (std::size_t o = 0; o < n; ++o) {
      operand.floats()[layout.bias_offset(o)] = bias[o];
      for (std::size_t i = 0; i < k; ++i) operand.floats()[layout.offset(i, o)] = weight[o * k + i];
    }
    for (const std::size_t rows : {1u, 2u, 7u, 19u}) {
      const std::vector<float> input = normal_values(engine, rows * (k + 3) + 8);
      std::vector<float> output(rows * (n + 5), 9.0f);
      REQUIRE(run_operator(op, operand.floats(), rows, input.data(), output.data()));
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t o = 0; o < n; ++o) {
          double expected = bias[o], magnitude = std::abs(expected);
          for (std::size_t i = 0; i < k; ++i) {
            const double product = double{input[r * (k + 3) + i]} * weight[o * k + i];
            expected += product;
            magnitude += std::abs(product);
          }
          CHECK(std::abs(output[r * (n + 5) + o] - expected) <= static_cast<double>(k + 1) * 0x1p-24 * magnitude);
        }
        for (std::size_t o = n; o < n + 5 && r + 1 < rows; ++o) CHECK(output[r * (n + 5) + o] == 9.0f);
      }
    }
  }
}

TEST_CASE("operators multiply with the operand they are given, wherever it is packed") {
  for (const Gemm& gemm : gemms()) {
    CAPTURE(std::string(gemm.name));
    for (const auto& shape : {std::pair<std::size_t, std::size_t>{1, 1}, {3, 2}, {16, 16}, {40, 31}, {33, 65}, {128, 200}}) {
      CAPTURE(shape.first);
      CAPTURE(shape.second);
      check_products(gemm, shape.first, shape.second);
    }
  }
}

TEST_CASE("an operator that does not fit its memory is refused") {
  for (const Gemm& gemm : gemms()) {
    CAPTURE(std::string(gemm.name));
    AlignedBytes object(gemm.operator_bytes), work(64 * 1024);
    Operator op;
    PanelLayout layout;
    REQUIRE_OK(gemm.probe(16, 16, layout));
    const OperatorShape shape = shape_of(layout, 16, 16);
    const std::span<std::byte> short_object(object.data(), object.size() - 64);
    const char* const who = std::string_view(gemm.name).starts_with("XNNPACK") ? "XNNPACK" : gemm.name;
    CHECK_FAILS(create_operator(shape, source_of(gemm), short_object, {}, op), StatusCode::kGemm, who);
    if (gemm.packs_at_creation)
      CHECK_FAILS(create_operator(shape, source_of(gemm), {object.data(), object.size()}, {work.data(), 256}, op),
                  StatusCode::kGemm, who);
    REQUIRE_OK(create_operator(shape, source_of(gemm), {object.data(), object.size()}, {work.data(), work.size()}, op));
  }
}

TEST_CASE("operands that no memory holds have no layout") {
  for (const Gemm& gemm : gemms()) {
    CAPTURE(std::string(gemm.name));
    PanelLayout layout;
    for (const auto& shape : {std::pair<std::size_t, std::size_t>{0, 5}, {5, 0}, {SIZE_MAX, 1}, {1, SIZE_MAX}, {SIZE_MAX / 64, 64}})
      CHECK_FAILS(gemm.probe(shape.first, shape.second, layout), StatusCode::kInvalidArgument, "too large");
  }
}

TEST_CASE("the built-in GEMM takes the best kernels of the machine it is asked about") {
  const Machine machines[] = {{}, {.avx2 = true}, {.avx2 = true, .avx512 = true}, {.neon = true}};
  const KernelSet sets[] = {KernelSet::kScalar, KernelSet::kAvx2, KernelSet::kAvx512, KernelSet::kNeon};
  for (std::size_t i = 0; i < std::size(machines); ++i) {
    CAPTURE(i);
    if (!kernels_built(sets[i])) continue;
    Gemm gemm;
    REQUIRE_OK(builtin_gemm(machines[i], gemm));
    CHECK(std::string_view(gemm.name) == "edgeattn");
    CHECK(gemm.mr == gemm_tile(sets[i]).rows);
    CHECK(!gemm.packs_at_creation);
    PanelLayout wide, narrow;
    REQUIRE_OK(gemm.probe(7, 1000, wide));
    REQUIRE_OK(gemm.probe(7, 3, narrow));
    CHECK(wide.plain());
    CHECK(wide.nr == gemm_tile(sets[i]).columns);
    CHECK(narrow.nr == wide.nr);
    CHECK(narrow.inputs == 7);
    CHECK(narrow.outputs == 3);
  }
}

TEST_CASE("the GEMM that is asked for is the one that is taken") {
  const Machine machine = detect_machine();
  Gemm taken;
  REQUIRE_OK(gemm_traits(machine, taken, GemmChoice::kBuiltin));
  CHECK(std::string_view(taken.name) == builtin::kName);
#if EDGEATTN_XNNPACK
  REQUIRE_OK(gemm_traits(machine, taken, GemmChoice::kXnnpack));
  CHECK(std::string_view(taken.name).starts_with("XNNPACK"));
#else
  CHECK(std::string_view(taken.name) == builtin::kName);
  CHECK_FAILS(gemm_traits(machine, taken, GemmChoice::kXnnpack), StatusCode::kUnsupported, "no XNNPACK");
#endif
}

#if EDGEATTN_XNNPACK
TEST_CASE("auto takes XNNPACK but where it is known to be slower, whatever processor it is asked on") {
  const auto takes_builtin = [](const Machine& machine, GemmChoice choice = GemmChoice::kAuto) {
    Gemm taken;
    REQUIRE_OK(gemm_traits(machine, taken, choice));
    return std::string_view(taken.name) == builtin::kName;
  };
  const Machine avx2{.avx2 = true}, avx512{.avx2 = true, .avx512 = true},
      wide{.avx2 = true, .avx512 = true, .avx512_two_fma = true};
  CHECK(takes_builtin(avx2));
  CHECK(!takes_builtin(Machine{}));
  CHECK(!takes_builtin(Machine{.neon = true}));
  CHECK(!takes_builtin(avx512));
  for (const Machine& machine : {avx2, avx512, wide}) {
    CHECK(takes_builtin(machine, GemmChoice::kBuiltin));
    CHECK(!takes_builtin(machine, GemmChoice::kXnnpack));
  }
  // What XNNPACK packs, which the rule for two units asks for, is what it does on the processor at hand.
  Gemm xnnpack;
  REQUIRE_OK(gemm_traits(wide, xnnpack, GemmChoice::kXnnpack));
  PanelLayout layout;
  REQUIRE_OK(xnnpack.probe(16, 64, layout));
  CHECK(takes_builtin(wide) == (xnnpack.mr * layout.nr < 8 * 16));
}
#endif

TEST_CASE("the built-in products of a plan are those of its instruction set") {
  const Machine machine = detect_machine();
  Gemm gemm;
  REQUIRE_OK(builtin_gemm(machine, gemm));
  const Spec spec{.channels = 64};
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kNeon}) {
    if (!machine.has(isa) || !kernels_built(edgeattn::kernel_set(isa))) continue;
    CAPTURE(std::string(to_string(isa)));
    const GemmTile tile = gemm_tile(edgeattn::kernel_set(isa));
    Plan made;
    REQUIRE_OK(plan(spec, {1, 8, 8}, {.isa = isa}, machine, gemm, made));
    CHECK(made.projection.nr == tile.columns);
    CHECK(made.keys.nr == tile.columns);
    std::size_t bytes = 0;
    REQUIRE_OK(prepared_bytes(spec, machine, gemm, bytes, {.isa = isa}));
    CHECK(bytes == made.prepared_bytes);
    BmmPlan product;
    REQUIRE_OK(plan(BmmShape{.rows = 9, .inner = 5, .columns = 40}, gemm, product, isa));
    CHECK(product.operand.nr == tile.columns);
  }
}

}  // namespace
}  // namespace edgeattn::test
