#include <pthreadpool.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "edgeattn/block.h"
#include "edgeattn/io.h"

/// Times one block: block_time C,H,W THREADS RUNS [ISA [LAYOUT [BQ,BK]]]. Prints best and median in milliseconds, and the
/// phases of the runs' mean in milliseconds of one thread.
using namespace edgeattn;

namespace {

void require(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "block_time: %s\n", status.message());
  std::exit(1);
}

struct Span {
  explicit Span(std::size_t bytes) : size(bytes), data(static_cast<std::byte*>(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096))) {
    if (data == nullptr) std::exit(1);
    std::memset(data, 0, bytes);
  }
  operator std::span<std::byte>() const { return {data, size}; }
  std::size_t size;
  std::byte* data;
};

Isa isa_named(const char* name) {
  for (Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kNeon})
    if (std::strcmp(name, to_string(isa)) == 0) return isa;
  return Isa::kAuto;
}

}  // namespace

int main(int argc, char** argv) {
  Spec spec;
  Shape shape;
  PlanOptions options;
  if (argc < 4 || std::sscanf(argv[1], "%zu,%zu,%zu", &spec.channels, &shape.height, &shape.width) != 3) {
    std::fprintf(stderr, "usage: block_time C,H,W THREADS RUNS [ISA [LAYOUT [BQ,BK]]]\n");
    return 2;
  }
  options.threads = std::strtoul(argv[2], nullptr, 10);
  const auto runs = std::strtoul(argv[3], nullptr, 10);
  if (argc > 4) options.isa = isa_named(argv[4]);
  if (argc > 5) options.layout = std::strcmp(argv[5], "nhwc") == 0 ? Layout::kNhwc : Layout::kNchw;
  if (argc > 6) std::sscanf(argv[6], "%zu,%zu", &options.query_tile, &options.key_block);

  const Machine machine = detect_machine();
  Gemm gemm;
  require(gemm_traits(machine, gemm));
  Plan planned;
  require(plan(spec, shape, options, machine, gemm, planned));
  io::BlockWeights weights, input;
  require(io::random_block(spec, 1, weights));
  const Span prepared_span(planned.prepared_bytes), persistent(planned.persistent_bytes), scratch(planned.scratch_bytes);
  Prepared prepared;
  require(prepare(spec, weights.view(), machine, gemm, prepared_span, prepared));
  pthreadpool_t pool = options.threads > 1 ? pthreadpool_create(options.threads) : nullptr;
  Block block;
  require(bind(planned, prepared, persistent, scratch, pool, block));

  const std::size_t count = spec.channels * shape.tokens();
  const Span x_span(count * sizeof(float)), y_span(count * sizeof(float));
  auto* const x = reinterpret_cast<float*>(x_span.data);
  for (std::size_t i = 0; i < count; ++i) x[i] = weights.qkv_weight[i % weights.qkv_weight.size()] * 20.0f;

  std::vector<double> milliseconds;
  Profile profile;
  for (unsigned long i = 0; i < runs + 1; ++i) {
    const auto start = std::chrono::steady_clock::now();
    require(block.run(x, reinterpret_cast<float*>(y_span.data), i % 4 == 3 ? &profile : nullptr));
    milliseconds.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  milliseconds.erase(milliseconds.begin());
  std::sort(milliseconds.begin(), milliseconds.end());
  std::printf("%.4f %.4f  bq %zu bk %zu ", milliseconds.front(), milliseconds[milliseconds.size() / 2], planned.query_tile,
              planned.key_block);
  const double profiled = static_cast<double>((runs + 1) / 4);
  for (std::size_t phase = 1; phase < kPhases && profiled > 0; ++phase)
    std::printf(" %s %.3f", to_string(static_cast<Phase>(phase)),
                profile.seconds[phase] * 1e3 / profiled / static_cast<double>(options.threads));
  std::printf("\n");
  pthreadpool_destroy(pool);
  return 0;
}
