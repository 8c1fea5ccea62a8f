// Every kernel of the table, each variant beside the others.

#include "benchmarks.h"
#include "block/operands.h"
#include "kernel_cases.h"

namespace edgeattn::bench {
namespace {

struct Row {
  const char* name;
  KernelCases* cases;
};

constexpr Row kRows[] = {
    {"statistics", statistics_cases},
    {"pack", pack_cases},
    {"unpack_rows", unpack_rows_cases},
    {"exp2", exp2_cases},
    {"softmax", softmax_cases},
    {"accumulate", accumulate_cases},
    {"normalize_rows", normalize_rows_cases},
    {"poison_rows", poison_rows_cases},
    {"add_residual", add_residual_cases},
    {"fold", fold_cases},
    {"transpose", transpose_cases},
    {"gemm", gemm_cases},
};
static_assert(sizeof(Kernels) == std::size(kRows) * sizeof(void (*)()), "every kernel of the table needs a benchmark");

/// Numbers in [-1, 1] of a linear congruential generator: quick, for buffers larger than the caches.
void fill_numbers(float* values, std::size_t count) {
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    values[i] = static_cast<float>(static_cast<std::int32_t>(state)) * 0x1p-31f;
  }
}

void add(const char* kernel, const char* variant, const std::string& size,
         const std::function<void(benchmark::State&)>& time) {
  const std::string name = text("BM_", kernel, "/", variant, "/", size);
  benchmark::RegisterBenchmark(name.c_str(), time)->Unit(benchmark::kMicrosecond);
}

std::size_t cached_bytes() { return std::max(host().machine.l2_bytes, host().machine.l3_bytes); }

}  // namespace

PanelLayout plain_layout(std::size_t inputs, std::size_t outputs) {
  PanelLayout probed;
  require(host().gemm.probe(inputs, outputs, probed));
  return simd_layout(probed) ? probed : PanelLayout{.inputs = inputs, .outputs = outputs, .nr = 8};
}

ColdPieces::ColdPieces(std::size_t count)
    : piece_((count + 15) / 16 * 16),
      pieces_(2 * cached_bytes() / (piece_ * sizeof(float)) + 2),
      memory_(pieces_ * piece_ * sizeof(float)) {
  fill_numbers(memory_.floats(), pieces_ * piece_);
}

float* ColdPieces::next() {
  at_ = (at_ + 1) % pieces_;
  return memory_.floats() + at_ * piece_;
}

Memory numbers(std::size_t count) {
  Memory memory(count * sizeof(float));
  fill_numbers(memory.floats(), count);
  return memory;
}

void count_floats_moved(benchmark::State& state, std::size_t values, double seconds) {
  state.counters["GB/s"] = static_cast<double>(values * sizeof(float)) / seconds * 1e-9;
}

void count_elements(benchmark::State& state, std::size_t values, double seconds) {
  state.counters["Gelements/s"] = static_cast<double>(values) / seconds * 1e-9;
}

void add_kernels() {
  for (const Row& row : kRows) {
    for (const KernelCase& size : row.cases()) {
      for (Isa isa : isas()) {
        Kernels kernels;
        kernels_init(kernels, kernel_set(isa));
        add(row.name, to_string(isa), size.size, [=](benchmark::State& state) { size.time(state, kernels); });
      }
      if (size.time_xnnpack) add(row.name, "xnnpack", size.size, size.time_xnnpack);
      if (size.time_memcpy) add(row.name, "memcpy", size.size, size.time_memcpy);
    }
  }
}

}  // namespace edgeattn::bench
