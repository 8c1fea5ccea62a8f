#include "edgeattn/plan.h"

#include <algorithm>
#include <limits>

#include "float_scope.h"
#include "gemm/builtin.h"
#include "kernels.h"
#include "plan/isa.h"
#include "plan/memory_map.h"
#include "plan/precision.h"
#include "plan/sizes.h"
#include "plan/spec.h"
#include "plan/tiles.h"

namespace edgeattn {
namespace {

/// More slots than any machine that runs this has processors; keeps sizes in range.
constexpr std::size_t kMostThreads = 1024;

Status check_shape(const Spec& spec, const Shape& shape) noexcept {
  using namespace sizes;
  if (shape.batch == 0 || shape.height == 0 || shape.width == 0)
    return Status::error(StatusCode::kInvalidArgument, "batch, height and width must be at least 1, got ", shape.batch,
                         ", ", shape.height, ", ", shape.width);
  const std::size_t bytes = mul(shape.batch, spec.channels, shape.height, shape.width, sizeof(float));
  if (bytes > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()))
    return Status::error(StatusCode::kInvalidArgument, "the shape ", shape.batch, ",", spec.channels, ",", shape.height,
                         ",", shape.width, " has more bytes than can be addressed");
  return {};
}

Status check_options(const PlanOptions& options, const Shape& shape) noexcept {
  const std::size_t smallest = std::min(shape.tokens(), kSmallestQueryTile);
  if (options.threads == 0 || options.threads > kMostThreads)
    return Status::error(StatusCode::kInvalidArgument, "threads must be from 1 to ", kMostThreads, ", got ",
                         options.threads);
  if (options.query_tile != 0 && options.query_tile < smallest)
    return Status::error(StatusCode::kInvalidArgument, "the query tile must be at least ", smallest, " rows, got ",
                         options.query_tile);
  return {};
}

/// Who answers for the operands of one plan.
struct Products {
  const Gemm& gemm;
  ReducedSet set;
  std::size_t mr;
  std::size_t unit;

  Status layout(const Plan& plan, Operand operand, std::size_t inputs, std::size_t outputs, PanelLayout& layout) const noexcept {
    return operand_layout(plan.precision, set, gemm, operand, inputs, outputs, layout);
  }
};

/// Cuts the keys into blocks of at most `largest`, and asks for the layouts that this takes.
Status choose_keys(std::size_t largest, const Products& products, Plan& plan) noexcept {
  const KeyBlocks blocks = cut_keys(plan.shape.tokens(), largest);
  plan.key_block = blocks.size;
  plan.last_key_block = blocks.last;
  plan.key_blocks = blocks.count;
  plan.score_stride = sizes::round_up(std::max(blocks.size, blocks.last), 16);
  plan.weight_stride = sizes::round_up(plan.score_stride, kReducedRowUnit / sizeof(Half));
  const std::size_t channels = plan.spec.head_channels();
  EDGEATTN_TRY(products.layout(plan, Operand::kKeys, channels, blocks.size, plan.keys));
  EDGEATTN_TRY(products.layout(plan, Operand::kValues, blocks.size, channels, plan.values));
  plan.last_keys = plan.keys;
  plan.last_values = plan.values;
  if (blocks.last != blocks.size) {
    EDGEATTN_TRY(products.layout(plan, Operand::kKeys, channels, blocks.last, plan.last_keys));
    EDGEATTN_TRY(products.layout(plan, Operand::kValues, blocks.last, channels, plan.last_values));
  }
  return {};
}

/// Sets tiles of at most `rows` rows in units of `unit`, and strips.
void choose_queries(std::size_t unit, std::size_t rows, Plan& plan) noexcept {
  plan.query_unit = unit;
  plan.query_tile = rows;
  plan.query_tile = cut_queries(plan, plan.threads / images_at_once(plan, plan.shape.batch)).rows();
  plan.pack_strip = pack_strip(plan, plan.keys, plan.values);
  plan.last_pack_strip = pack_strip(plan, plan.last_keys, plan.last_values);
}

/// Plans the memory of `plan` with its key blocks. Where scratch is over the budget, first takes one set of operands, then
/// smaller query tiles. False if even the smallest do not fit, which are then what the plan holds.
bool fit(const PlanOptions& options, const Products& products, Plan& plan) noexcept {
  const std::size_t budget = options.scratch_budget_bytes;
  const std::size_t tokens = plan.shape.tokens();
  const bool forced = options.query_tile != 0;
  const std::size_t unit = forced ? std::min(options.query_tile, tokens) : products.unit;
  const std::size_t largest = forced ? unit : largest_query_tile(plan, products.mr);
  const auto fits = [&] {
    map_memory(plan, products.gemm.packs_at_creation);
    return budget == 0 || plan.scratch_bytes <= budget;
  };
  plan.operand_sets = best_operand_sets(plan);
  choose_queries(unit, largest, plan);
  if (fits()) return true;
  plan.operand_sets = 1;
  for (std::size_t rows = largest;; rows = plan.query_tile - unit) {
    choose_queries(unit, rows, plan);
    if (fits()) return true;
    if (forced) return false;
    if (plan.query_tile <= unit) break;
  }
  choose_queries(kSmallestQueryTile, kSmallestQueryTile, plan);
  return fits();
}

}  // namespace

Status plan(const Spec& spec, const Shape& shape, const PlanOptions& options, const Machine& machine, const Gemm& chosen,
            Plan& result) noexcept {
  const FloatScope scope(Denormals::kKept);
  EDGEATTN_TRY(check_spec(spec));
  EDGEATTN_TRY(check_shape(spec, shape));
  EDGEATTN_TRY(check_options(options, shape));
  if (chosen.probe == nullptr || chosen.mr == 0)
    return Status::error(StatusCode::kInvalidArgument, "gemm is empty: call gemm_traits first");

  Plan plan;
  EDGEATTN_TRY(choose_isa(options.isa, machine, plan.isa));
  const Gemm gemm = builtin::with_kernels(chosen, kernel_set(plan.isa));
  plan.spec = spec;
  plan.shape = shape;
  plan.layout = options.layout;
  plan.threads = options.threads;
  plan.machine = machine;
  plan.precision = options.precision;
  plan.gemm_name = plan.reduced() ? builtin::kName : gemm.name;
  plan.operator_bytes = gemm.operator_bytes;
  plan.operand_offset = gemm.operand_offset;
  plan.channel_stride = sizes::round_up(spec.channels, 16);
  plan.half_stride = sizes::round_up(spec.channels, kReducedRowUnit / sizeof(Half));
  plan.quantized_stride = sizes::round_up(spec.head_channels(), kReducedRowUnit);
  Products products{.gemm = gemm, .set = ReducedSet::kScalar, .mr = gemm.mr, .unit = query_unit(gemm)};
  EDGEATTN_TRY(choose_reduced(plan.precision, plan.isa, machine, products.set));
  if (plan.reduced()) {
    products.mr = ReducedTable(products.set).traits.mr;
    products.unit = query_unit(products.mr);
  }
  EDGEATTN_TRY(products.layout(plan, Operand::kWeights, spec.channels, spec.channels, plan.projection));

  const bool forced_keys = options.key_block != 0;
  std::size_t least_bytes = sizes::kTooLarge;
  for (std::size_t largest = forced_keys ? options.key_block : largest_key_block(plan);; largest /= 2) {
    EDGEATTN_TRY(choose_keys(largest, products, plan));
    if (fit(options, products, plan)) break;
    plan.budget_reduced_keys = true;
    least_bytes = std::min(least_bytes, plan.scratch_bytes);
    if (forced_keys || largest / 2 < kKeyUnit)
      return Status::error(StatusCode::kTooSmall, "the scratch budget of ", options.scratch_budget_bytes,
                           " bytes is too small: at least ", least_bytes, " bytes are required");
  }
  if (plan.prepared_bytes == sizes::kTooLarge || plan.persistent_bytes == sizes::kTooLarge ||
      plan.scratch_bytes == sizes::kTooLarge)
    return Status::error(StatusCode::kInvalidArgument, "the plan needs more memory than can be addressed");
  result = plan;
  return {};
}

}  // namespace edgeattn
