// The operators of XNNPACK and of the built-in GEMM alone, on the products of a tile: the ceiling of the engine.

#include <cmath>
#include <memory>

#include "benchmarks.h"
#include "block/operands.h"
#include "block/parallel.h"
#include "gemm/operator.h"
#include "model_shapes.h"
#include "plan/isa.h"
#include "plan/memory_map.h"
#include "timing.h"

namespace edgeattn::bench {
namespace {

/// An operation of shorter work than this on each thread is repeated, to make it long beside waking the threads.
constexpr double kLeastFlops = 1e8;

void fill(const Memory& memory, double deviation) {
  float* const values = memory.floats();
  for (std::size_t i = 0; i < memory.bytes().size() / sizeof(float); ++i)
    values[i] = static_cast<float>(deviation * std::sin(static_cast<double>(i)));
}

/// Operands of one image, as a run's workers share them.
struct Operands {
  explicit Operands(const Plan& plan)
      : key_blocks(plan.last_key_block == plan.key_block ? plan.key_blocks : plan.key_blocks - 1),
        project(plan.projection.size() * sizeof(float)),
        keys(key_blocks * operand_stride(plan.keys)),
        values(key_blocks * operand_stride(plan.values)) {
    const double deviation = 1 / std::sqrt(static_cast<double>(plan.spec.channels));
    fill(project, deviation);
    fill(keys, deviation);
    fill(values, deviation);
  }

  std::size_t key_blocks;  ///< whole ones
  Memory project;
  Memory keys;
  Memory values;
};

/// One worker's operators and tile.
class TileGemms {
 public:
  TileGemms(const Plan& plan, const Operands& operands)
      : plan_(plan),
        operands_(operands),
        input_(tile_bytes(plan.channel_stride)),
        projected_(tile_bytes(plan.channel_stride)),
        scores_(tile_bytes(plan.score_stride)),
        mixed_(tile_bytes(plan.channel_stride)),
        work_(std::max({plan.projection.size(), plan.keys.size(), plan.values.size()}) * sizeof(float)),
        objects_{Memory(plan.operator_bytes), Memory(plan.operator_bytes), Memory(plan.operator_bytes)} {
    const std::size_t wide = plan.channel_stride, narrow = plan.score_stride;
    ops_[0] = make(shape_of(plan.projection, wide, wide), objects_[0]);
    ops_[1] = make(shape_of(plan.keys, wide, narrow), objects_[1]);
    ops_[2] = make(shape_of(plan.values, narrow, wide), objects_[2]);
    fill(input_, 1);
    fill(scores_, 1);
  }

  void project() const { multiply(ops_[0], operands_.project.bytes().data(), input_, projected_); }
  void scores(std::size_t block) const {
    multiply(ops_[1], operands_.keys.bytes().data() + block * operand_stride(plan_.keys), input_, scores_);
  }
  void mix(std::size_t block) const {
    multiply(ops_[2], operands_.values.bytes().data() + block * operand_stride(plan_.values), scores_, mixed_);
  }

 private:
  [[nodiscard]] std::size_t tile_bytes(std::size_t stride) const {
    return plan_.query_tile * stride * sizeof(float) + kInputPaddingBytes;
  }
  [[nodiscard]] Operator make(const OperatorShape& shape, const Memory& object) const {
    Kernels kernels;
    GemmSource source;
    Operator op;
    kernels_init(kernels, kernel_set(plan_.isa));
    require(find_gemm(plan_.gemm_name, plan_.operand_offset, kernels, source));
    require(create_operator(shape, source, object.bytes(), work_.bytes(), op));
    return op;
  }
  void multiply(const Operator& op, const std::byte* operand, const Memory& input, const Memory& output) const {
    run_operator(op, reinterpret_cast<const float*>(operand), plan_.query_tile, input.floats(), output.floats());
  }

  const Plan& plan_;
  const Operands& operands_;
  Memory input_;
  Memory projected_;
  Memory scores_;
  Memory mixed_;
  Memory work_;
  Memory objects_[3];
  Operator ops_[3];
};

/// A product of a tile with every operand that it meets, or all of them together.
struct Product {
  const char* name;
  std::size_t projections;
  bool scores;
  bool mix;

  void multiply(const TileGemms& tile, std::size_t key_blocks) const {
    for (std::size_t i = 0; i < projections; ++i) tile.project();
    for (std::size_t block = 0; block < key_blocks; ++block) {
      if (scores) tile.scores(block);
      if (mix) tile.mix(block);
    }
  }
  [[nodiscard]] double flops(const Plan& plan, std::size_t key_blocks) const {
    const auto rows = static_cast<double>(plan.query_tile), channels = static_cast<double>(plan.spec.channels);
    const auto keys = static_cast<double>(key_blocks * plan.key_block * (std::size_t{scores} + std::size_t{mix}));
    return 2 * rows * channels * (channels * static_cast<double>(projections) + keys);
  }
};

constexpr Product kProducts[] = {{.name = "project", .projections = 1, .scores = false, .mix = false},
                                 {.name = "scores", .projections = 0, .scores = true, .mix = false},
                                 {.name = "mix", .projections = 0, .scores = false, .mix = true},
                                 {.name = "tile", .projections = 2, .scores = true, .mix = true}};

void time_product(benchmark::State& state, const Product& product, const ModelShape& model, std::size_t threads,
                  const Gemm& gemm) {
  const Plan plan = make_plan(model.spec(), model.shape(), {.threads = threads}, gemm);
  const Operands operands(plan);
  std::vector<std::unique_ptr<TileGemms>> tiles;
  for (std::size_t i = 0; i < threads; ++i) tiles.push_back(std::make_unique<TileGemms>(plan, operands));
  const Pool pool(threads);

  const double flops = product.flops(plan, operands.key_blocks);
  const auto repeats = static_cast<std::size_t>(std::ceil(kLeastFlops / flops));
  const double best = best_seconds(state, [&] {
    for_each_slot(pool.get(), threads, [&](std::size_t slot) {
      for (std::size_t i = 0; i < repeats; ++i) product.multiply(*tiles[slot], operands.key_blocks);
    });
  });
  count_flops(state, flops * static_cast<double>(repeats * threads), best, threads);
  state.SetLabel(text(plan.query_tile, " queries, ", plan.key_block, " keys"));
}

}  // namespace

void add_gemms() {
  for (const ModelShape& model : kModelShapes) {
    for (const Product& product : kProducts) {
      for (std::size_t threads : thread_counts()) {
        for (const Gemm* gemm : {&host().gemm, &host().builtin}) {
          const char* const who = gemm == &host().builtin ? "builtin" : "xnnpack";
          add_threaded_benchmark(text("BM_gemm/", who, "/", product.name, "/", model.name(), "/threads:", threads),
                                 [=](benchmark::State& state) { time_product(state, product, model, threads, *gemm); });
        }
      }
    }
  }
}

}  // namespace edgeattn::bench
