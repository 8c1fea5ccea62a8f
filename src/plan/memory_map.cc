#include "plan/memory_map.h"

#include <algorithm>
#include <span>

#include "gemm/builtin.h"
#include "plan/precision.h"
#include "plan/sizes.h"

namespace edgeattn {
namespace {

using namespace sizes;

constexpr std::size_t kFloat = sizeof(float);
/// Of a query row: its maximum, sum and rescaling.
constexpr std::size_t kRowValues = 3;

bool alive_together(const Region& a, const Region& b) noexcept { return a.first <= b.last && b.first <= a.last; }

/// Places regions, largest first, each at the lowest offset where no region that is alive with it lies. Returns the end of
/// the last byte in use.
std::size_t place(std::span<Region> regions) noexcept {
  Region* order[std::max(Plan::kSharedRegions, Plan::kSlotRegions)];
  for (std::size_t i = 0; i < regions.size(); ++i) order[i] = &regions[i];
  const std::span<Region*> sorted(order, regions.size());
  // Insertion sort: std::stable_sort allocates.
  for (std::size_t i = 1; i < sorted.size(); ++i)
    for (std::size_t j = i; j > 0 && sorted[j - 1]->bytes < sorted[j]->bytes; --j) std::swap(sorted[j - 1], sorted[j]);

  std::size_t end = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    Region& region = *sorted[i];
    region.offset = 0;
    for (std::size_t j = 0; j < i;) {
      const Region& placed = *sorted[j];
      const bool clash = alive_together(region, placed) && region.offset < add(placed.offset, placed.bytes) &&
                         placed.offset < add(region.offset, region.bytes);
      if (clash) region.offset = add(placed.offset, placed.bytes);
      j = clash ? 0 : j + 1;  // after a move, look again from the first
    }
    end = std::max(end, add(region.offset, region.bytes));
  }
  return end;
}

void add_region(Region* regions, std::size_t& count, const char* name, Space space, std::size_t bytes, Phase first,
                Phase last) noexcept {
  regions[count++] = {.name = name,
                      .space = space,
                      .bytes = round_up(bytes, Plan::kAlignment),
                      .first = first,
                      .last = last};
}

std::size_t tile_bytes(std::size_t rows, std::size_t stride) noexcept {
  return add(mul(rows, stride, kFloat), kInputPaddingBytes);
}

Phase first_use_of_slots(const Plan& plan) noexcept {
  const bool heads = plan.spec.heads > 1;
  if (plan.precision == Precision::kInt8 && heads) return Phase::kStatistics;  // projects the mean of x̂
  return plan.reduced() || heads ? Phase::kPack : Phase::kProject;
}

void add_slot_region(Plan& plan, const char* name, std::size_t bytes, Phase first, Phase last) noexcept {
  add_region(plan.slot_regions, plan.slot_region_count, name, Space::kScratch, bytes, first, last);
}

/// Every product reads rows that were rounded or quantised, and begins with what it adds to, so that nothing is mixed apart.
void map_reduced_slot(Plan& plan) noexcept {
  const auto slot = [&plan](const char* name, std::size_t bytes, Phase first, Phase last) {
    add_slot_region(plan, name, bytes, first, last);
  };
  const bool int8 = plan.precision == Precision::kInt8, heads = plan.spec.heads > 1;
  const std::size_t rows = plan.query_tile;
  const std::size_t strip = std::max(plan.pack_strip, plan.last_pack_strip), most = std::max(rows, strip);
  // Normalised rows are the V side of a single panel, whose first row is its bias; of a tile they are only with several heads.
  slot(region::kNormalized, mul(add(heads ? most : strip, 1), plan.channel_stride, kFloat), Phase::kPack,
       heads ? Phase::kProject : Phase::kPack);
  slot(region::kHalfRows, mul(most, plan.half_stride, sizeof(Half)), first_use_of_slots(plan), Phase::kOut);
  slot(region::kProjected, mul(heads ? most : rows, plan.channel_stride, kFloat), heads ? Phase::kPack : Phase::kProject,
       heads ? Phase::kMix : Phase::kProject);
  if (int8) slot(region::kQuantized, mul(most, plan.quantized_stride), Phase::kPack, Phase::kMix);
  slot(region::kScores, mul(rows, plan.score_stride, kFloat), Phase::kScores, Phase::kSoftmax);
  slot(region::kSoftmaxWeights, mul(rows, plan.weight_stride, sizeof(Half)), Phase::kSoftmax, Phase::kMix);
  slot(region::kAccumulated, mul(rows, plan.channel_stride, kFloat), Phase::kScores, Phase::kOut);
  slot(region::kOutput, mul(rows, plan.channel_stride, kFloat), Phase::kOut, Phase::kTranspose);
  slot(region::kRows, mul(rows, kRowValues + 1, kFloat), Phase::kProject, Phase::kOut);
  slot(region::kPoison, mul(rows, kFloat), Phase::kProject, Phase::kTranspose);
}

void map_float_slot(Plan& plan) noexcept {
  const auto slot = [&plan](const char* name, std::size_t bytes, Phase first, Phase last) {
    add_slot_region(plan, name, bytes, first, last);
  };
  const std::size_t rows = plan.query_tile;
  const std::size_t wide = tile_bytes(rows, plan.channel_stride);
  if (plan.spec.heads > 1) {
    // K and V are projected strip by strip; normalised rows are the V side of a single panel, whose first row is its bias.
    const std::size_t most = std::max({rows, plan.pack_strip, plan.last_pack_strip});
    slot(region::kNormalized, tile_bytes(add(most, 1), plan.channel_stride), Phase::kPack, Phase::kProject);
    slot(region::kProjected, tile_bytes(most, plan.channel_stride), Phase::kPack, Phase::kMix);
  } else {
    slot(region::kNormalized, wide, Phase::kProject, Phase::kProject);
    slot(region::kProjected, wide, Phase::kProject, Phase::kMix);
  }
  slot(region::kScores, tile_bytes(rows, plan.score_stride), Phase::kScores, Phase::kMix);
  if (has_mixed_tile(plan)) slot(region::kMixed, wide, Phase::kMix, Phase::kMix);
  // From the scores on: it holds the sum of earlier key blocks while later ones are scored.
  slot(region::kAccumulated, wide, Phase::kScores, Phase::kOut);
  slot(region::kOutput, wide, Phase::kOut, Phase::kTranspose);
  slot(region::kRows, mul(rows, kRowValues, kFloat), Phase::kScores, Phase::kOut);
  slot(region::kPoison, mul(rows, kFloat), Phase::kProject, Phase::kTranspose);
}

void map_slot(Plan& plan) noexcept {
  plan.slot_region_count = 0;
  plan.reduced() ? map_reduced_slot(plan) : map_float_slot(plan);
  plan.slot_bytes = place({plan.slot_regions, plan.slot_region_count});
}

}  // namespace

bool has_mixed_tile(const Plan& plan) noexcept { return plan.key_blocks > 1 && !builtin::is_name(plan.gemm_name); }

void map_prepared(Plan& plan) noexcept {
  const auto prepared = [&plan](const char* name, std::size_t bytes) {
    add_region(plan.shared_regions, plan.shared_region_count, name, Space::kPrepared, bytes, Phase::kBind,
               Phase::kTranspose);
  };
  plan.shared_region_count = 0;
  prepared(region::kScoreWeights, plan.projection.bytes());
  prepared(region::kOutputWeights, plan.projection.bytes());
  prepared(region::kNorm, mul(3, plan.spec.channels, kFloat));
  if (plan.spec.heads > 1) {
    prepared(region::kKeyWeights, plan.projection.bytes());
    prepared(region::kValueWeights, plan.projection.bytes());
    prepared(region::kIdentity, mul(2, plan.spec.channels, kFloat));
  }
  plan.prepared_bytes = place({plan.shared_regions, plan.shared_region_count});
}

void map_memory(Plan& plan, bool packs_at_creation) noexcept {
  map_prepared(plan);
  const auto shared = [&plan](const char* name, Space space, std::size_t bytes, Phase first, Phase last) {
    add_region(plan.shared_regions, plan.shared_region_count, name, space, bytes, first, last);
  };
  const std::size_t persistent = plan.shared_region_count;
  shared(region::kSlots, Space::kPersistent, mul(plan.threads, kSlotBytes), Phase::kBind, Phase::kTranspose);
  shared(region::kWorks, Space::kPersistent, mul(plan.operand_sets, kWorkBytes), Phase::kBind, Phase::kTranspose);
  if (!plan.reduced())
    shared(region::kOperators, Space::kPersistent, mul(plan.threads, kOperatorsPerSlot, plan.operator_bytes), Phase::kBind,
           Phase::kTranspose);
  plan.persistent_bytes = place({plan.shared_regions + persistent, plan.shared_region_count - persistent});

  map_slot(plan);
  const std::size_t scratch = plan.shared_region_count;
  const std::size_t full_blocks = plan.key_blocks - 1;
  const std::size_t chunks = divide_up(plan.shape.tokens(), kStatisticsTokens);
  const auto operand_bytes = [&](const PanelLayout& block, const PanelLayout& last) {
    return mul(plan.spec.heads, add(mul(full_blocks, operand_stride(block)), operand_stride(last)));
  };
  const auto for_each_set = [&](const char* name, std::size_t bytes, Phase first, Phase last) {
    shared(name, Space::kScratch, mul(plan.operand_sets, round_up(bytes, Plan::kAlignment)), first, last);
  };
  for_each_set(region::kKeys, operand_bytes(plan.keys, plan.last_keys), Phase::kPack, Phase::kTranspose);
  for_each_set(region::kValues, operand_bytes(plan.values, plan.last_values), Phase::kPack, Phase::kTranspose);
  // With operands of their own, some threads are at their tiles while others still pack. With several heads, tiles normalise x again.
  const Phase packed = plan.operand_sets == 1 && plan.spec.heads == 1 ? Phase::kPack : Phase::kTranspose;
  const Phase summed = plan.operand_sets == 1 ? Phase::kStatistics : Phase::kTranspose;
  for_each_set(region::kPartialSums, mul(chunks, plan.spec.channels, 2 * sizeof(double)), Phase::kStatistics, summed);
  for_each_set(region::kPivots, mul(plan.spec.channels, kFloat), Phase::kStatistics, summed);
  for_each_set(region::kCoefficients, mul(3, plan.spec.channels, kFloat), Phase::kStatistics, packed);
  if (plan.precision == Precision::kInt8)
    for_each_set(region::kKeyCenter, mul(plan.spec.channels, kFloat), Phase::kStatistics, packed);
  if (packs_at_creation && !plan.reduced()) {
    std::size_t largest = plan.projection.bytes();
    for (const PanelLayout* layout : {&plan.keys, &plan.last_keys, &plan.values, &plan.last_values})
      largest = std::max(largest, layout->bytes());
    shared(region::kBindWork, Space::kScratch, largest, Phase::kBind, Phase::kBind);
  }
  // The slots are placed as one piece; `regions` shows what is inside.
  const std::size_t slots = plan.shared_region_count;
  shared("slots", Space::kScratch, mul(plan.threads, plan.slot_bytes), first_use_of_slots(plan), Phase::kTranspose);
  plan.scratch_bytes = place({plan.shared_regions + scratch, plan.shared_region_count - scratch});
  for (std::size_t i = 0; i < plan.slot_region_count; ++i)
    plan.slot_regions[i].offset = add(plan.slot_regions[i].offset, plan.shared_regions[slots].offset);
  --plan.shared_region_count;
}

Region find_region(const Plan& plan, std::string_view name, std::size_t slot) noexcept {
  for (std::size_t i = 0; i < plan.shared_region_count; ++i)
    if (plan.shared_regions[i].name == name) return plan.shared_regions[i];
  for (std::size_t i = 0; i < plan.slot_region_count; ++i)
    if (plan.slot_regions[i].name == name) return plan.region(plan.shared_region_count + slot * plan.slot_region_count + i);
  return {};
}

std::size_t Plan::regions() const noexcept { return shared_region_count + threads * slot_region_count; }

Region Plan::region(std::size_t index) const noexcept {
  if (index < shared_region_count) return shared_regions[index];
  index -= shared_region_count;
  Region region = slot_regions[index % slot_region_count];
  region.slot = index / slot_region_count;
  region.offset += region.slot * slot_bytes;
  return region;
}

const char* to_string(Phase phase) noexcept {
  switch (phase) {
    case Phase::kBind: return "bind";
    case Phase::kStatistics: return "statistics";
    case Phase::kPack: return "pack";
    case Phase::kProject: return "project";
    case Phase::kScores: return "scores";
    case Phase::kSoftmax: return "softmax";
    case Phase::kMix: return "mix";
    case Phase::kOut: return "out";
    case Phase::kTranspose: return "transpose";
  }
  return "?";
}

const char* to_string(Space space) noexcept {
  switch (space) {
    case Space::kPrepared: return "prepared";
    case Space::kPersistent: return "persistent";
    case Space::kScratch: return "scratch";
  }
  return "?";
}

}  // namespace edgeattn
