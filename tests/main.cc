#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <string>

#include "plan/precision.h"
#include "support.h"

namespace edgeattn::test {
namespace {

Isa g_isa = Isa::kAuto;
Precision g_precision = Precision::kFloat32;
ReducedSet g_reduced = ReducedSet::kScalar;
GemmChoice g_gemm = EDGEATTN_XNNPACK ? GemmChoice::kXnnpack : GemmChoice::kBuiltin;
std::uint64_t g_seed = 1;
bool g_sample = false;
bool g_bench = false;
std::optional<std::size_t> g_cases;
std::uint64_t g_first_case = 0;
std::string g_data = "tests/data";

const char* value_of(const char* argument, const char* name) {
  const std::size_t length = std::strlen(name);
  return std::strncmp(argument, name, length) == 0 ? argument + length : nullptr;
}

/// Sets `value` to what an argument names that begins with `option`, such as "--isa=".
template <class Enum>
void read(const char* argument, const char* option, std::initializer_list<Enum> values, const char* (*name_of)(Enum), Enum& value) {
  const char* const text = value_of(argument, option);
  if (text == nullptr) return;
  const auto* const found = std::find_if(values.begin(), values.end(), [&](Enum each) { return std::strcmp(text, name_of(each)) == 0; });
  if (found == values.end()) {
    std::fprintf(stderr, "unknown %s%s\n", option, text);
    std::exit(2);
  }
  value = *found;
}

}  // namespace

Isa isa() { return g_isa; }
Precision precision() { return g_precision; }
ReducedSet reduced_set() { return g_reduced; }
GemmChoice gemm_choice() { return g_gemm; }
std::uint64_t seed() { return g_seed; }
bool sample() { return g_sample; }
bool bench() { return g_bench; }
std::optional<std::size_t> cases() { return g_cases; }
std::uint64_t first_case() { return g_first_case; }
const char* data_directory() { return g_data.c_str(); }

const char* name_of(ReducedSet set) {
  switch (set) {
    case ReducedSet::kAvx512: return "avx512";
    case ReducedSet::kDotprod: return "dotprod";
    case ReducedSet::kI8mm: return "i8mm";
    case ReducedSet::kScalar: break;
  }
  return "scalar";
}

KernelSet kernel_set() {
  switch (g_isa) {
    case Isa::kAvx2: return KernelSet::kAvx2;
    case Isa::kAvx512: return KernelSet::kAvx512;
    case Isa::kNeon: return KernelSet::kNeon;
    default: return KernelSet::kScalar;
  }
}

}  // namespace edgeattn::test

int main(int argc, char** argv) {
  using namespace edgeattn;
  for (int i = 1; i < argc; ++i) {
    test::read<Isa>(argv[i], "--isa=", {Isa::kAuto, Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kNeon}, to_string, test::g_isa);
    test::read<Precision>(argv[i], "--precision=", {Precision::kFloat32, Precision::kBfloat16, Precision::kInt8}, to_string,
                          test::g_precision);
    test::read<ReducedSet>(argv[i], "--reduced=",
                           {ReducedSet::kScalar, ReducedSet::kAvx512, ReducedSet::kDotprod, ReducedSet::kI8mm}, test::name_of,
                           test::g_reduced);
    test::read<GemmChoice>(argv[i], "--gemm=", {GemmChoice::kAuto, GemmChoice::kXnnpack, GemmChoice::kBuiltin}, to_string, test::g_gemm);
    if (const char* seed = test::value_of(argv[i], "--seed=")) test::g_seed = std::strtoull(seed, nullptr, 10);
    if (const char* count = test::value_of(argv[i], "--cases=")) test::g_cases = std::strtoull(count, nullptr, 10);
    if (const char* first = test::value_of(argv[i], "--first-case=")) test::g_first_case = std::strtoull(first, nullptr, 10);
    if (const char* data = test::value_of(argv[i], "--data=")) test::g_data = data;
    if (std::strcmp(argv[i], "--sample") == 0) test::g_sample = true;
    if (std::strcmp(argv[i], "--bench") == 0) test::g_bench = true;
  }
  const Machine machine = detect_machine();
  if (test::g_isa == Isa::kAuto) test::g_isa = machine.best_isa();
  if (!machine.has(test::g_isa) || !kernels_built(test::kernel_set())) {
    std::printf("skipped: no %s on this machine or in this build\n", to_string(test::g_isa));
    return 77;
  }
  ReducedSet set{};
  if (const Status status = choose_reduced(test::g_precision, test::g_isa, machine, set); !status.ok()) {
    std::printf("skipped: %s\n", status.message());
    return 77;
  }
  if (!supports(machine, test::g_reduced) || !reduced_built(test::g_reduced)) {
    std::printf("skipped: no %s of reduced precision on this machine or in this build\n", test::name_of(test::g_reduced));
    return 77;
  }
  std::printf("isa %s, precision %s, reduced set %s, gemm %s, seed %llu\n", to_string(test::g_isa), to_string(test::g_precision),
              test::name_of(test::g_reduced), to_string(test::g_gemm), static_cast<unsigned long long>(test::g_seed));
  doctest::Context context(argc, argv);
  return context.run();
}
