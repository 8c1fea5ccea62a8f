// The whole block at the shapes of real models.

#include <memory>
#include <string>
#include <vector>

#include "benchmarks.h"
#include "model_shapes.h"
#include "plan/precision.h"
#include "timing.h"

namespace edgeattn::bench {
namespace {

/// The block of the benchmark `name`, whose function is called several times, with more and more iterations.
BoundBlock& block_of(const std::string& name, const Spec& spec, const Shape& shape, const PlanOptions& options) {
  static std::unique_ptr<BoundBlock> block;
  static std::string made;
  if (made != name) {
    block.reset();
    block = std::make_unique<BoundBlock>(spec, shape, options);
    block->run();
    made = name;
  }
  return *block;
}

void time_block(benchmark::State& state, const std::string& name, const ModelShape& model, std::size_t batch,
                const PlanOptions& options) {
  BoundBlock& block = block_of(name, model.spec(), model.shape(batch), options);
  const double best = best_seconds(state, [&] { block.run(); });
  state.counters["best_s"] = best;
  count_flops(state, model.flops() * static_cast<double>(batch), best, options.threads);
}

/// An instruction set at a precision.
struct Variant {
  std::string name;  ///< "avx512", "avx512-int8"
  Isa isa;
  Precision precision;
};

/// Every instruction set in float32, and what the best one has at reduced precision.
std::vector<Variant> variants() {
  std::vector<Variant> variants;
  for (Isa isa : isas()) variants.push_back({to_string(isa), isa, Precision::kFloat32});
  const Isa best = isas().back();
  for (Precision precision : {Precision::kBfloat16, Precision::kInt8}) {
    ReducedSet set{};
    if (best != Isa::kScalar && choose_reduced(precision, best, host().machine, set).ok())
      variants.push_back({text(to_string(best), "-", to_string(precision)), best, precision});
  }
  return variants;
}

}  // namespace

void add_blocks() {
  for (const ModelShape& model : kModelShapes) {
    for (std::size_t batch : {std::size_t{1}, std::size_t{4}}) {
      for (std::size_t threads : thread_counts()) {
        for (const Variant& variant : variants()) {
          const std::string name =
              text("BM_block/", variant.name, "/", model.name(), "/B:", batch, "/threads:", threads);
          add_threaded_benchmark(name, [=](benchmark::State& state) {
            time_block(state, name, model, batch, {.threads = threads, .isa = variant.isa, .precision = variant.precision});
          });
        }
      }
    }
  }
}

}  // namespace edgeattn::bench
