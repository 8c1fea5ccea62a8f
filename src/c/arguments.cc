#include "c/arguments.h"

#include "c/enums.h"
#include "c/versioned.h"

namespace edgeattn::c {
namespace {

constexpr std::size_t kUsualGroups = Spec{}.groups;

std::size_t or_usual(std::size_t given, std::size_t usual) noexcept { return given != 0 ? given : usual; }

}  // namespace

Status read_spec(const edgeattn_spec* given, Spec& spec) noexcept {
  edgeattn_spec known;
  EDGEATTN_TRY(read_struct("spec", given, EDGEATTN_SIZE_UP_TO(edgeattn_spec, rescale_output), &known, sizeof known));
  EDGEATTN_TRY(read_enum("spec.norm", known.norm, Norm::kNone, spec.norm));
  spec.channels = known.channels;
  spec.groups = or_usual(known.groups, kUsualGroups);
  spec.eps = known.eps;
  spec.heads = or_usual(known.heads, 1);
  spec.scale = known.scale;
  spec.residual = known.no_residual == 0;
  spec.rescale_output = known.rescale_output != 0 ? known.rescale_output : 1;
  return {};
}

Status read_shape(const edgeattn_shape* given, Shape& shape) noexcept {
  edgeattn_shape known;
  EDGEATTN_TRY(read_struct("shape", given, EDGEATTN_SIZE_UP_TO(edgeattn_shape, width), &known, sizeof known));
  shape = {.batch = or_usual(known.batch, 1), .height = known.height, .width = known.width};
  return {};
}

Status read_options(const edgeattn_options* given, PlanOptions& options, Machine& machine, GemmChoice& gemm) noexcept {
  edgeattn_options known{};
  if (given != nullptr)
    EDGEATTN_TRY(read_struct("options", given, EDGEATTN_SIZE_UP_TO(edgeattn_options, isa), &known, sizeof known));
  EDGEATTN_TRY(read_enum("options.layout", known.layout, Layout::kNhwc, options.layout));
  EDGEATTN_TRY(read_enum("options.isa", known.isa, Isa::kNeon, options.isa));
  EDGEATTN_TRY(read_enum("options.precision", known.precision, Precision::kInt8, options.precision));
  EDGEATTN_TRY(read_enum("options.gemm", known.gemm, GemmChoice::kBuiltin, gemm));
  options.threads = or_usual(known.threads, 1);
  options.scratch_budget_bytes = known.scratch_budget_bytes;
  options.query_tile = known.query_tile;
  options.key_block = known.key_block;
  if (known.l2_bytes != 0) {
    machine.l2_bytes = known.l2_bytes;
    machine.l2_sharing_processors = 1;
  }
  return {};
}

Status read_weights(const edgeattn_weights* given, Weights& weights, pthreadpool_t& pool) noexcept {
  edgeattn_weights known;
  EDGEATTN_TRY(
      read_struct("weights", given, EDGEATTN_SIZE_UP_TO(edgeattn_weights, score_bias), &known, sizeof known));
  weights = {.norm_weight = known.norm_weight,
             .norm_bias = known.norm_bias,
             .running_mean = known.running_mean,
             .running_var = known.running_var,
             .qkv_weight = known.qkv_weight,
             .qkv_bias = known.qkv_bias,
             .out_weight = known.out_weight,
             .out_bias = known.out_bias,
             .score_weight = known.score_weight,
             .score_bias = known.score_bias};
  pool = known.pool;
  return {};
}

}  // namespace edgeattn::c
