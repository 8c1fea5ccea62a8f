// All blocks of a weights file, one after another on one scratch span, each against an output that is known:
//
// blocks WEIGHTS.safetensors ACTIVATIONS.safetensors STEP      tensors PREFIX+STEP.input and PREFIX+STEP.output
#include <edgeattn/io.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace {

void check(const edgeattn::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.message());
  std::exit(1);
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

/// A span for edgeattn.
class Memory {
 public:
  explicit Memory(std::size_t bytes)
      : bytes_(bytes), memory_(std::aligned_alloc(edgeattn::Plan::kAlignment, round_up(bytes))) {}
  std::span<std::byte> span() { return {static_cast<std::byte*>(memory_.get()), bytes_}; }

 private:
  static std::size_t round_up(std::size_t bytes) {
    return (bytes + edgeattn::Plan::kAlignment - 1) / edgeattn::Plan::kAlignment * edgeattn::Plan::kAlignment;
  }
  std::size_t bytes_;
  std::unique_ptr<void, Free> memory_;
};

struct Case {
  edgeattn::io::BlockWeights weights;
  edgeattn::Plan plan;
  std::vector<float> x, expected;
};

std::vector<std::size_t> read(const edgeattn::io::SafetensorsFile& file, const std::string& name, std::vector<float>& values) {
  const edgeattn::io::TensorInfo* const tensor = file.find(name);
  if (tensor == nullptr || tensor->shape.size() != 4) {
    std::fprintf(stderr, "no tensor %s [B, C, H, W]\n", name.c_str());
    std::exit(1);
  }
  check(file.read(*tensor, values));
  return tensor->shape;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) {
    std::fprintf(stderr, "usage: blocks WEIGHTS.safetensors ACTIVATIONS.safetensors STEP\n");
    return 2;
  }
  edgeattn::io::SafetensorsFile file, activations;
  check(edgeattn::io::SafetensorsFile::open(arguments[1], file));
  check(edgeattn::io::SafetensorsFile::open(arguments[2], activations));
  std::vector<edgeattn::io::BlockEntry> entries;
  check(edgeattn::io::find_blocks(file, entries));

  const edgeattn::Machine machine = edgeattn::detect_machine();
  edgeattn::Gemm gemm;
  check(edgeattn::gemm_traits(machine, gemm));
  std::vector<Case> cases(entries.size());
  std::size_t scratch_bytes = 0;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    Case& c = cases[i];
    check(edgeattn::io::load_block(file, {.prefix = &entries[i].prefix}, c.weights));
    const std::string name = c.weights.prefix + arguments[3];
    const std::vector<std::size_t> shape = read(activations, name + ".input", c.x);
    if (read(activations, name + ".output", c.expected) != shape || shape[1] != c.weights.spec.channels) {
      std::fprintf(stderr, "%s has other shapes than the block\n", name.c_str());
      return 1;
    }
    check(edgeattn::plan(c.weights.spec, {shape[0], shape[2], shape[3]}, {.threads = 2}, machine, gemm, c.plan));
    scratch_bytes = std::max(scratch_bytes, c.plan.scratch_bytes);
  }

  const std::unique_ptr<pthreadpool, decltype(&pthreadpool_destroy)> pool(pthreadpool_create(2), pthreadpool_destroy);
  Memory scratch(scratch_bytes);
  double worst = 0;
  for (const Case& c : cases) {
    Memory prepared_memory(c.plan.prepared_bytes), persistent(c.plan.persistent_bytes);
    edgeattn::Prepared prepared;
    check(edgeattn::prepare(c.weights.spec, c.weights.view(), machine, gemm, prepared_memory.span(), prepared));
    edgeattn::Block block;
    check(edgeattn::bind(c.plan, prepared, persistent.span(), scratch.span(), pool.get(), block));
    std::vector<float> y(c.x.size());
    check(block.run(c.x.data(), y.data()));
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double difference = std::fabs(double{y[i]} - c.expected[i]);
      if (!(difference <= worst)) worst = difference;
    }
  }
  std::printf("%zu blocks: at most %.3g from what is expected, in %zu bytes of scratch\n", cases.size(), worst, scratch_bytes);
  return !cases.empty() && worst <= 1e-5 ? 0 : 1;
}
