#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <random>
#include <vector>

#include "edgeattn/plan.h"
#include "kernels.h"
#include "reduced_kernels.h"

namespace edgeattn::test {

/// The instruction set that this process tests: `--isa=NAME`, by default the machine's best.
Isa isa();
KernelSet kernel_set();

/// The precision that this process tests: `--precision=NAME`, by default f32.
Precision precision();
/// The kernels of reduced precision that this process tests: `--reduced=NAME`, by default the scalar ones.
ReducedSet reduced_set();
const char* name_of(ReducedSet set);
/// `--gemm=auto|xnnpack|builtin`: who multiplies matrices, by default auto.
GemmChoice gemm_choice();

/// `--seed=N`, by default 1; printed at start.
std::uint64_t seed();

/// `--sample`: exhaustive loops take a sample, because time is short.
bool sample();

/// `--bench`: whether tests that can shall time what they test.
bool bench();

/// `--cases=N`: how many cases random tests draw, 0 for no end; `--first-case=N`: the first of them, by default 0.
std::optional<std::size_t> cases();
std::uint64_t first_case();

/// Where the test data lives: `--data=DIR`.
const char* data_directory();

/// A generator for one case: the same numbers whatever ran before it.
inline std::mt19937_64 random_engine(std::uint64_t stream) { return std::mt19937_64(seed() * 0x9E3779B97F4A7C15u + stream); }

inline std::vector<float> normal_values(std::mt19937_64& engine, std::size_t count, double mean = 0, double deviation = 1) {
  std::normal_distribution<double> normal(mean, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(normal(engine));
  return values;
}

/// Zeroed memory at an address of the given alignment plus `shift` bytes.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t bytes, std::size_t alignment = 64, std::size_t shift = 0)
      : storage_(bytes + alignment + shift + 64), bytes_(bytes) {
    const auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
    begin_ = storage_.data() + ((address + alignment - 1) / alignment * alignment - address) + shift;
  }
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;

  std::byte* data() { return begin_; }
  float* floats() { return reinterpret_cast<float*>(begin_); }
  std::size_t size() const { return bytes_; }

 private:
  std::vector<std::byte> storage_;
  std::byte* begin_ = nullptr;
  std::size_t bytes_;
};

}  // namespace edgeattn::test
