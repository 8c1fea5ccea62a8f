#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <limits>
#include <string>

#include "check.h"
#include "edgeattn/block.h"
#include "edgeattn/io.h"
#include "gemm/layout.h"
#include "kernel_checker.h"
#include "plan/memory_map.h"
#include "plan_checks.h"

/// Plans of any spec, shape, options, machine and GEMM library: totals and map as they must be, and no sum that wraps. Small ones
/// are bound and run in memory that ends with a page without access.
namespace edgeattn::test {

bool sample() { return false; }

}  // namespace edgeattn::test

namespace edgeattn::fuzz {
namespace {

using Wide = unsigned __int128;

std::size_t size_of_any_scale(FuzzedDataProvider& input) {
  return input.ConsumeIntegral<std::size_t>() >> input.ConsumeIntegralInRange(0, 63);
}

std::size_t size_up_to(FuzzedDataProvider& input, std::size_t most) {
  return input.ConsumeBool() ? size_of_any_scale(input) : input.ConsumeIntegralInRange<std::size_t>(0, most);
}

PanelLayout made_up_panels;  // nr, kr and sr of the probe below, which has no argument for them

/// A GEMM library of any layout, with the limit that XNNPACK's probe has.
Gemm any_gemm(FuzzedDataProvider& input) {
  made_up_panels = {.nr = 1u << input.ConsumeIntegralInRange(0, 6), .kr = 1u << input.ConsumeIntegralInRange(0, 2),
                    .sr = 1u << input.ConsumeIntegralInRange(0, 2)};
  Gemm gemm = test::made_up_gemm(input.ConsumeBool());
  gemm.operator_bytes = 64 * input.ConsumeIntegralInRange<std::size_t>(1, 100);
  gemm.mr = input.ConsumeIntegralInRange<std::size_t>(0, 16);
  gemm.probe = [](std::size_t inputs, std::size_t outputs, PanelLayout& layout) noexcept {
    if (Wide{inputs + 17} * (outputs + 64) > kLargestMarked) return Status::error(StatusCode::kInvalidArgument, "too large");
    layout = made_up_panels;
    layout.inputs = inputs;
    layout.outputs = outputs;
    return Status();
  };
  return gemm;
}

Machine any_machine(FuzzedDataProvider& input) {
  return {.processors = size_up_to(input, 64),
          .l1d_bytes = size_of_any_scale(input),
          .l2_bytes = size_of_any_scale(input),
          .l3_bytes = size_of_any_scale(input),
          .l2_sharing_processors = size_up_to(input, 64)};
}

Spec any_spec(FuzzedDataProvider& input) {
  Spec spec{.channels = size_up_to(input, 80), .norm = input.PickValueInArray({Norm::kGroup, Norm::kInstance, Norm::kBatch, Norm::kNone})};
  spec.groups = input.ConsumeBool() ? 1 : size_up_to(input, 8);
  spec.heads = input.ConsumeBool() ? 1 : size_up_to(input, 8);
  spec.eps = input.ConsumeBool() ? 1e-5 : input.ConsumeFloatingPoint<double>();
  spec.scale = input.ConsumeBool() ? 0 : input.ConsumeFloatingPoint<double>();
  spec.rescale_output = input.ConsumeBool() ? 1 : input.ConsumeFloatingPoint<double>();
  spec.residual = input.ConsumeBool();
  return spec;
}

Shape any_shape(FuzzedDataProvider& input) { return {size_up_to(input, 5), size_up_to(input, 40), size_up_to(input, 40)}; }

PlanOptions any_options(FuzzedDataProvider& input) {
  return {.layout = input.ConsumeBool() ? Layout::kNchw : Layout::kNhwc,
          .threads = size_up_to(input, 9),
          .precision = input.PickValueInArray({Precision::kFloat32, Precision::kBfloat16, Precision::kInt8}),
          .scratch_budget_bytes = input.ConsumeBool() ? 0 : size_of_any_scale(input),
          .query_tile = input.ConsumeBool() ? 0 : size_up_to(input, 100),
          .key_block = input.ConsumeBool() ? 0 : size_up_to(input, 300)};
}

/// Less than this no plan can do with: operands of all tokens, and one tile of four queries for each thread.
Wide least_scratch(const Plan& plan) {
  const Wide tokens = plan.shape.tokens(), channels = plan.spec.channels;
  const Wide element_bytes = plan.keys.element_bytes + plan.values.element_bytes;
  const Wide rows = plan.precision == Precision::kFloat32 ? 2 : 1;
  const Wide tile = std::min<Wide>(tokens, 4) * (rows * channels + std::max(plan.key_block, plan.last_key_block));
  return plan.operand_sets * element_bytes * tokens * channels + sizeof(float) * plan.threads * tile;
}

void require_good(const Plan& plan, const PlanOptions& options) {
  const std::string fault = test::fault_of_map(plan);
  require(fault.empty(), fault);
  const std::size_t budget = options.scratch_budget_bytes;
  require(budget == 0 || plan.scratch_bytes <= budget, "the budget is kept");
  require(plan.scratch_bytes >= least_scratch(plan), "scratch has room for the operands and tiles");
  require(plan.prepared_bytes >= 2 * Wide{plan.projection.element_bytes} * plan.spec.channels * plan.spec.channels,
          "prepared has room for A and M");
  const std::size_t operators = plan.precision == Precision::kFloat32 ? kOperatorsPerSlot : 0;
  require(plan.persistent_bytes >= Wide{plan.threads} * operators * plan.operator_bytes, "persistent has room for operators");
  require((Wide{plan.key_blocks} - 1) * plan.key_block + plan.last_key_block == plan.shape.tokens(), "key blocks cover the tokens");
  require(plan.query_tile >= 1 && plan.query_tile <= plan.shape.tokens(), "a query tile is not larger than the image");
}

/// Whether the plan's budget was refused with a least that works.
void require_least_works(const std::string& message, const Spec& spec, const Shape& shape, PlanOptions options,
                         const Machine& machine, const Gemm& gemm) {
  const std::size_t at = message.find("at least ");
  require(at != std::string::npos, "the least budget is stated: " + message);
  options.scratch_budget_bytes = std::strtoull(message.c_str() + at + 9, nullptr, 10);
  Plan plan;
  const Status status = edgeattn::plan(spec, shape, options, machine, gemm, plan);
  require(status.ok() || options.scratch_budget_bytes == std::numeric_limits<std::size_t>::max(),
          "the least budget works: " + std::string(status.message()));
}

std::span<std::byte> bytes_of(test::Buffer& buffer, std::size_t less = 0) {
  return {reinterpret_cast<std::byte*>(buffer.data()), buffer.size() * sizeof(float) - less};
}

const Gemm& real_gemm() {
  static const Gemm gemm = [] {
    Gemm made;
    require(gemm_traits(detect_machine(), made).ok(), "XNNPACK runs here");
    return made;
  }();
  return gemm;
}

/// Binds and runs the block in exactly the bytes that its plan asks for, after trying one fewer.
void run_small(const Spec& spec, const Shape& shape, const PlanOptions& options) {
  const Machine machine = detect_machine();
  Plan plan;
  const Status status = edgeattn::plan(spec, shape, options, machine, real_gemm(), plan);
  if (!status.ok()) return;
  require_good(plan, options);
  test::Buffer memory(plan.prepared_bytes / sizeof(float), 64), persistent(plan.persistent_bytes / sizeof(float), 64),
      scratch(plan.scratch_bytes / sizeof(float), 64);
  io::BlockWeights weights;
  Prepared prepared;
  Block block;
  require(io::random_block(spec, 1, weights).ok(), "random weights");
  const auto prepare_in = [&](std::size_t less) {
    return prepare(spec, weights.view(), machine, real_gemm(), bytes_of(memory, less), prepared, {.precision = plan.precision, .isa = plan.isa});
  };
  const auto bind_in = [&](std::size_t less_persistent, std::size_t less_scratch) {
    return bind(plan, prepared, bytes_of(persistent, less_persistent), bytes_of(scratch, less_scratch), nullptr, block);
  };
  require(prepare_in(1).code() == StatusCode::kTooSmall, "a byte less is too small for prepare");
  const Status made = prepare_in(0);
  if (made.code() == StatusCode::kInvalidArgument) return;  // a scale or an eps that overflows the folded weights
  require(made.ok(), made.message());
  require(bind_in(1, 0).code() == StatusCode::kTooSmall && bind_in(0, 1).code() == StatusCode::kTooSmall, "a byte less is too small for bind");
  const Status bound = bind_in(0, 0);
  require(bound.ok(), bound.message());

  const std::size_t count = shape.batch * spec.channels * shape.tokens();
  test::Buffer x(count), y(count);
  for (std::size_t i = 0; i < count; ++i) x[i] = static_cast<float>(i % 17) - 8;
  require(block.run(x.data(), y.data()).ok(), "run");
  for (std::size_t i = 0; i < count; ++i) require(!test::Buffer::is_canary(y[i]), "every output is written");
  for (const test::Buffer* buffer : {&memory, &persistent, &scratch, &x, &y})
    require(buffer->margins_intact(), "nothing before the spans is written");
}

void fuzz(FuzzedDataProvider& input) {
  const Spec spec = any_spec(input);
  const Shape shape = any_shape(input);
  const PlanOptions options = any_options(input);
  const Machine machine = any_machine(input);
  const Gemm gemm = any_gemm(input);
  Plan plan;
  const Status status = edgeattn::plan(spec, shape, options, machine, gemm, plan);
  if (!status.ok()) {
    require(plan.scratch_bytes == 0 && status.message()[0] != '\0', "a refused plan is empty, with a reason");
    if (status.code() == StatusCode::kTooSmall) require_least_works(status.message(), spec, shape, options, machine, gemm);
    return;
  }
  if (plan.threads <= 16) require_good(plan, options);  // the check is quadratic in the threads
  const bool small = shape.batch <= 3 && spec.channels <= 48 && shape.tokens() <= 200 && options.threads <= 4;
  if (small) run_small(spec, shape, options);
}

}  // namespace
}  // namespace edgeattn::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider input(data, size);
  edgeattn::fuzz::fuzz(input);
  return 0;
}
