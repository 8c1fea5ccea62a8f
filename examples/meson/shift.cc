// A block whose output projection is zero adds its bias to every pixel and nothing else: y = x + bias, exactly.
#include <edgeattn/block.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <span>
#include <vector>

namespace {

constexpr std::size_t kChannels = 32, kSide = 12, kPixels = kSide * kSide;
constexpr float kBias = 0.5f;

alignas(edgeattn::Plan::kAlignment) std::byte arena[1 << 20];

edgeattn::Status run(const std::vector<float>& x, std::vector<float>& y) {
  const edgeattn::Spec spec{.channels = kChannels, .groups = 8};
  const edgeattn::Machine machine = edgeattn::detect_machine();
  edgeattn::Gemm gemm;
  EDGEATTN_TRY(edgeattn::gemm_traits(machine, gemm));
  edgeattn::Plan memory;
  EDGEATTN_TRY(edgeattn::plan(spec, {.batch = 1, .height = kSide, .width = kSide}, {}, machine, gemm, memory));

  // All sizes are multiples of the alignment.
  std::span<std::byte> left(arena);
  const auto take = [&](std::size_t bytes) {
    const std::span<std::byte> taken = left.first(std::min(bytes, left.size()));
    left = left.subspan(taken.size());
    return taken;
  };
  const std::vector<float> ones(kChannels, 1.0f), zeros(3 * kChannels * kChannels), bias(kChannels, kBias);
  edgeattn::Prepared prepared;
  EDGEATTN_TRY(edgeattn::prepare(spec,
                                 {.norm_weight = ones.data(),
                                  .norm_bias = zeros.data(),
                                  .qkv_weight = zeros.data(),
                                  .out_weight = zeros.data(),
                                  .out_bias = bias.data()},
                                 machine, gemm, take(memory.prepared_bytes), prepared));
  const auto persistent = take(memory.persistent_bytes), scratch = take(memory.scratch_bytes);
  edgeattn::Block block;
  EDGEATTN_TRY(edgeattn::bind(memory, prepared, persistent, scratch, nullptr, block));
  return block.run(x.data(), y.data());
}

}  // namespace

int main() {
  std::vector<float> x(kChannels * kPixels), y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 17) - 8.0f;
  if (const edgeattn::Status status = run(x, y); !status.ok()) {
    std::fprintf(stderr, "%s\n", status.message());
    return 1;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (y[i] == x[i] + kBias) continue;
    std::fprintf(stderr, "y[%zu] is %g, expected %g\n", i, static_cast<double>(y[i]), static_cast<double>(x[i] + kBias));
    return 1;
  }
  std::printf("%zu values shifted by %g\n", x.size(), static_cast<double>(kBias));
}
