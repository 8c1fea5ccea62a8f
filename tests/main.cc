#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstring>
#include <optional>
#include <string>

#include "support.h"

namespace edgeattn::test {
namespace {

Isa g_isa = Isa::kAuto;
ReducedSet g_reduced = ReducedSet::kScalar;
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

ReducedSet reduced_named(const char* name) {
  for (ReducedSet set : {ReducedSet::kScalar, ReducedSet::kAvx512, ReducedSet::kDotprod, ReducedSet::kI8mm})
    if (std::strcmp(name, name_of(set)) == 0) return set;
  std::fprintf(stderr, "unknown --reduced=%s\n", name);
  std::exit(2);
}

/// Whether this processor runs the kernels of `set`.
bool has(ReducedSet set) {
  const Machine machine = detect_machine();
  if (set == ReducedSet::kDotprod) return machine.dotprod && machine.fp16;
  if (set == ReducedSet::kI8mm) return machine.i8mm && machine.bf16;
#if defined(__x86_64__) || defined(__i386__)
  if (set == ReducedSet::kAvx512)
    return machine.has(Isa::kAvx512) && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni");
#endif
  return set == ReducedSet::kScalar;
}

}  // namespace

Isa isa() { return g_isa; }
ReducedSet reduced_set() { return g_reduced; }
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
    if (const char* reduced = test::value_of(argv[i], "--reduced=")) test::g_reduced = test::reduced_named(reduced);
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
  if (!test::has(test::g_reduced) || !reduced_built(test::g_reduced)) {
    std::printf("skipped: no %s of reduced precision on this machine or in this build\n", test::name_of(test::g_reduced));
    return 77;
  }
  std::printf("isa %s, reduced precision %s, seed %llu\n", to_string(test::g_isa), test::name_of(test::g_reduced),
              static_cast<unsigned long long>(test::g_seed));
  doctest::Context context(argc, argv);
  return context.run();
}
