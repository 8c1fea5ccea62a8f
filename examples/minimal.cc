#include <cstdio>
#include <cstdlib>
#include "edgeattn/io.h"
using namespace edgeattn;

static void check(const Status& status) {
  if (!status.ok()) std::exit((std::fprintf(stderr, "%s\n", status.message()), 1));
}
static std::span<std::byte> allocate(std::size_t bytes) {  // on a board: a static array, or a part of its fast memory
  return {static_cast<std::byte*>(std::aligned_alloc(Plan::kAlignment, bytes)), bytes};
}
int main(int count, char** arguments) {  // minimal WEIGHTS.safetensors PREFIX
  const std::string prefix = count == 3 ? arguments[2] : "";
  io::SafetensorsFile file;
  io::BlockWeights weights;
  check(io::SafetensorsFile::open(count == 3 ? arguments[1] : "", file));
  check(io::load_block(file, {.prefix = &prefix}, weights));
  const Machine machine = detect_machine();
  Gemm gemm;
  check(gemm_traits(machine, gemm));
  Plan memory;  // every byte is known before any memory exists
  check(plan(weights.spec, {.batch = 1, .height = 16, .width = 16}, {.threads = 2}, machine, gemm, memory));
  Prepared prepared;
  check(prepare(weights.spec, weights.view(), machine, gemm, allocate(memory.prepared_bytes), prepared));
  const auto persistent = allocate(memory.persistent_bytes), scratch = allocate(memory.scratch_bytes);
  Block block;
  check(edgeattn::bind(memory, prepared, persistent, scratch, pthreadpool_create(2), block));
  std::vector<float> x(weights.spec.channels * 16 * 16, 0.5f), y(x.size());
  check(block.run(x.data(), y.data()));  // allocates nothing
  std::printf("y[0] = %g, from %zu bytes of scratch\n", static_cast<double>(y[0]), memory.scratch_bytes);
}
