#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstring>
#include <optional>
#include <string>

#include "plan/precision.h"
#include "support.h"

namespace edgeattn::test {
namespace {

Isa g_isa = Isa::kAuto;
Precision g_precision = Precision::kFloat32;
ReducedSet g_reduced = ReducedSet::kScalar;
GemmChoice g_gemm = GemmChoice::kAuto;
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

Isa isa_named(const char* name) {
  for (Isa isa : {Isa::kAuto, Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kNeon})
    if (std::strcmp(name, to_string(isa)) == 0) return isa;
  std::fprintf(stderr, "unknown --isa=%s\n", name);
  std::exit(2);
}

Precision precision_named(const char* name) {
  for (Precision precision : {Precision::kFloat32, Precision::kBfloat16, Precision::kInt8})
    if (std::strcmp(name, to_string(precision)) == 0) return precision;
  std::fprintf(stderr, "unknown --precision=%s\n", name);
  std::exit(2);
}

ReducedSet reduced_named(const char* name) {
  for (ReducedSet set : {ReducedSet::kScalar, ReducedSet::kAvx512, ReducedSet::kDotprod, ReducedSet::kI8mm})
    if (std::strcmp(name, name_of(set)) == 0) return set;
  std::fprintf(stderr, "unknown --reduced=%s\n", name);
  std::exit(2);
}

GemmChoice gemm_named(const char* name) {
  for (GemmChoice choice : {GemmChoice::kAuto, GemmChoice::kXnnpack, GemmChoice::kBuiltin})
    if (std::strcmp(name, to_string(choice)) == 0) return choice;
  std::fprintf(stderr, "unknown --gemm=%s\n", name);
  std::exit(2);
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
    if (const char* isa = test::value_of(argv[i], "--isa=")) test::g_isa = test::isa_named(isa);
    if (const char* precision = test::value_of(argv[i], "--precision=")) test::g_precision = test::precision_named(precision);
    if (const char* reduced = test::value_of(argv[i], "--reduced=")) test::g_reduced = test::reduced_named(reduced);
    if (const char* gemm = test::value_of(argv[i], "--gemm=")) test::g_gemm = test::gemm_named(gemm);
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
