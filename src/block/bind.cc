#include <memory>
#include <span>
#include <string_view>
#include <tuple>

#include "block/image_work.h"
#include "block/slot.h"
#include "block/spans.h"
#include "edgeattn/block.h"
#include "float_scope.h"
#include "plan/isa.h"
#include "plan/memory_map.h"

namespace edgeattn {
namespace {

static_assert(sizeof(Slot) <= kSlotBytes && sizeof(ImageWork) <= kWorkBytes);

Status check_belongs(const Plan& plan, const Prepared& prepared) noexcept {
  if (plan.scratch_bytes == 0) return Status::error(StatusCode::kInvalidArgument, "the plan is empty");
  if (prepared.score_weight == nullptr)
    return Status::error(StatusCode::kInvalidArgument, "the prepared weights are empty");
  if (!(plan.spec == prepared.spec) || plan.precision != prepared.precision || !(plan.projection == prepared.projection))
    return Status::error(StatusCode::kMismatch, "the prepared weights were made for another spec, precision or GEMM than the plan");
  const Machine machine = detect_machine();
  const auto features = [](const Machine& m) {
    return std::tuple(m.avx2, m.avx512, m.avx512_bf16, m.avx512_vnni, m.neon, m.dotprod, m.fp16, m.i8mm, m.bf16);
  };
  if (features(machine) != features(plan.machine))
    return Status::error(StatusCode::kMismatch, "the plan was made for another processor than this one");
  return {};
}

/// Hands out the places of one slot's operators in turn.
class OperatorMaker {
 public:
  OperatorMaker(const Plan& plan, const GemmSource& source, std::span<std::byte> objects, std::span<std::byte> work) noexcept
      : plan_(plan), source_(source), objects_(objects), work_(work) {}

  Status make(const PanelLayout& operand, std::size_t input_stride, std::size_t output_stride, Operator& op) noexcept {
    const std::span<std::byte> object = objects_.first(plan_.operator_bytes);
    objects_ = objects_.subspan(plan_.operator_bytes);
    return create_operator(shape_of(operand, input_stride, output_stride), source_, object, work_, op);
  }

 private:
  const Plan& plan_;
  GemmSource source_;
  std::span<std::byte> objects_;
  std::span<std::byte> work_;
};

Status make_operators(const Plan& plan, OperatorMaker maker, Slot& slot) noexcept {
  const std::size_t wide = plan.channel_stride;
  const std::size_t narrow = plan.score_stride;
  EDGEATTN_TRY(maker.make(plan.projection, wide, wide, slot.project));
  EDGEATTN_TRY(maker.make(plan.last_keys, wide, narrow, slot.last_keys));
  EDGEATTN_TRY(maker.make(plan.last_values, narrow, wide, slot.last_values));
  slot.keys = slot.last_keys;
  slot.values = slot.last_values;
  if (plan.key_block != plan.last_key_block) {
    EDGEATTN_TRY(maker.make(plan.keys, wide, narrow, slot.keys));
    EDGEATTN_TRY(maker.make(plan.values, narrow, wide, slot.values));
  }
  return {};
}

void place_tile(const Plan& plan, std::byte* scratch, std::size_t index, Slot& slot) noexcept {
  const auto buffer = [&](std::string_view name) { return floats_at(scratch, plan, name, index); };
  slot.normalized = buffer(region::kNormalized) + (plan.spec.heads > 1 || plan.reduced() ? plan.channel_stride : 0);
  slot.projected = buffer(region::kProjected);
  slot.scores = buffer(region::kScores);
  slot.mixed = has_mixed_tile(plan) ? buffer(region::kMixed) : nullptr;
  slot.accumulated = buffer(region::kAccumulated);
  slot.output = buffer(region::kOutput);
  slot.row_max = buffer(region::kRows);
  slot.row_sum = slot.row_max + plan.query_tile;
  slot.rescale = slot.row_sum + plan.query_tile;
  slot.poison = buffer(region::kPoison);
  if (!plan.reduced()) return;
  slot.query_scales = slot.rescale + plan.query_tile;
  slot.half_rows = reinterpret_cast<Half*>(buffer(region::kHalfRows));
  slot.softmax_weights = reinterpret_cast<Half*>(buffer(region::kSoftmaxWeights));
  slot.quantized = plan.precision == Precision::kInt8 ? reinterpret_cast<std::uint8_t*>(buffer(region::kQuantized)) : nullptr;
}

void place_operands(const Plan& plan, std::byte* scratch, std::size_t index, ImageWork& work) noexcept {
  const auto part = [&](std::string_view name) {
    const Region region = find_region(plan, name);
    return scratch + region.offset + region.bytes / plan.operand_sets * index;
  };
  const auto floats = [&](std::string_view name) { return reinterpret_cast<float*>(part(name)); };
  work.sums = reinterpret_cast<ShiftedSums*>(part(region::kPartialSums));
  work.pivots = floats(region::kPivots);
  work.computed = floats(region::kCoefficients);
  work.key_center = plan.precision == Precision::kInt8 ? floats(region::kKeyCenter) : nullptr;
  work.keys = part(region::kKeys);
  work.values = part(region::kValues);
}

std::span<std::byte> region_span(const Plan& plan, std::string_view name, std::span<std::byte> space) noexcept {
  const Region region = find_region(plan, name);
  return space.subspan(region.offset, region.bytes);
}

/// The table that fills the region `name` of the persistent span.
template <class Entry>
std::span<Entry> make_table(const Plan& plan, std::string_view name, std::span<std::byte> persistent,
                            std::size_t count) noexcept {
  auto* const first = reinterpret_cast<Entry*>(region_span(plan, name, persistent).data());
  std::uninitialized_value_construct_n(first, count);
  return {first, count};
}

Status make_operators(const Plan& plan, std::span<std::byte> persistent, std::span<std::byte> scratch,
                      std::span<Slot> slots) noexcept {
  Kernels kernels;
  GemmSource source;
  kernels_init(kernels, kernel_set(plan.isa));
  EDGEATTN_TRY(find_gemm(plan.gemm_name, plan.operand_offset, kernels, source));
  const std::span<std::byte> objects = region_span(plan, region::kOperators, persistent);
  const std::span<std::byte> work = region_span(plan, region::kBindWork, scratch);
  const std::size_t objects_per_slot = kOperatorsPerSlot * plan.operator_bytes;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const OperatorMaker maker(plan, source, objects.subspan(i * objects_per_slot, objects_per_slot), work);
    EDGEATTN_TRY(make_operators(plan, maker, slots[i]));
  }
  return {};
}

}  // namespace

Status bind(const Plan& plan, const Prepared& prepared, std::span<std::byte> persistent, std::span<std::byte> scratch,
            pthreadpool_t pool, Block& block) noexcept {
  const FloatScope scope(Denormals::kKept);
  EDGEATTN_TRY(check_belongs(plan, prepared));
  EDGEATTN_TRY(check_span("persistent", persistent, plan.persistent_bytes));
  EDGEATTN_TRY(check_span("scratch", scratch, plan.scratch_bytes));

  const std::span<Slot> slots = make_table<Slot>(plan, region::kSlots, persistent, plan.threads);
  const std::span<ImageWork> works = make_table<ImageWork>(plan, region::kWorks, persistent, plan.operand_sets);
  if (!plan.reduced()) EDGEATTN_TRY(make_operators(plan, persistent, scratch, slots));
  for (std::size_t i = 0; i < slots.size(); ++i) place_tile(plan, scratch.data(), i, slots[i]);
  for (std::size_t i = 0; i < works.size(); ++i) place_operands(plan, scratch.data(), i, works[i]);
  block.plan_ = plan;
  block.prepared_ = prepared;
  block.slots_ = slots.data();
  block.works_ = works.data();
  block.pool_ = pool;
  return {};
}

}  // namespace edgeattn
