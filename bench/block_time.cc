#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "bench_block.h"

/// Times one block: block_time C,H,W[,HEADS] THREADS RUNS [ISA [LAYOUT [BQ,BK]]]. Prints best and median in milliseconds, and
/// the phases of the runs' mean in milliseconds of one thread.
using namespace edgeattn;

namespace {

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
  if (argc < 4 || std::sscanf(argv[1], "%zu,%zu,%zu,%zu", &spec.channels, &shape.height, &shape.width, &spec.heads) < 3) {
    std::fprintf(stderr, "usage: block_time C,H,W[,HEADS] THREADS RUNS [ISA [LAYOUT [BQ,BK]]]\n");
    return 2;
  }
  options.threads = std::strtoul(argv[2], nullptr, 10);
  const auto runs = std::strtoul(argv[3], nullptr, 10);
  if (argc > 4) options.isa = isa_named(argv[4]);
  if (argc > 5) options.layout = std::strcmp(argv[5], "nhwc") == 0 ? Layout::kNhwc : Layout::kNchw;
  if (argc > 6) std::sscanf(argv[6], "%zu,%zu", &options.query_tile, &options.key_block);

  bench::BoundBlock block(spec, shape, options);
  std::vector<double> milliseconds;
  Profile profile;
  for (unsigned long i = 0; i < runs + 1; ++i) {
    const auto start = std::chrono::steady_clock::now();
    block.run(i % 4 == 3 ? &profile : nullptr);
    milliseconds.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  milliseconds.erase(milliseconds.begin());
  std::sort(milliseconds.begin(), milliseconds.end());
  std::printf("%.4f %.4f  bq %zu bk %zu ", milliseconds.front(), milliseconds[milliseconds.size() / 2],
              block.plan().query_tile, block.plan().key_block);
  const double profiled = static_cast<double>((runs + 1) / 4);
  for (std::size_t phase = 1; phase < kPhases && profiled > 0; ++phase)
    std::printf(" %s %.3f", to_string(static_cast<Phase>(phase)),
                profile.seconds[phase] * 1e3 / profiled / static_cast<double>(options.threads));
  std::printf("\n");
  return 0;
}
