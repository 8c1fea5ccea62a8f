#include "cli/options.h"

#include <cstdio>

#include "cli/failure.h"
#include "cli/text.h"
#include "cli/untold.h"

namespace edgeattn::cli {
namespace {

/// One line on standard error, unless all but eps was told: eps is the same in all modules of a style that has a usual one.
void note_assumed(const io::BlockWeights& weights, const std::string& block) {
  if ((weights.assumed & ~io::Untold::kEps) == 0) return;
  const std::string note = block + ": assumed " + describe_assumed(weights.assumed, weights.spec) + ", as style " +
                           weights.style + " usually has: the file does not tell (" + untold_options(weights.assumed) + ")";
  std::fprintf(stderr, "edgeattn: note: %s\n", one_line(note).c_str());
}

}  // namespace

std::size_t threads_of(const BlockOptions& options, const Machine& machine) {
  return options.threads == 0 ? machine.processors : options.threads;
}

PlanOptions plan_options(const BlockOptions& options, const Machine& machine) {
  return {.layout = options.layout,
          .threads = threads_of(options, machine),
          .isa = options.isa,
          .precision = options.precision,
          .scratch_budget_bytes = options.scratch_budget,
          .query_tile = options.query_tile,
          .key_block = options.key_block};
}

Spec spec_without_weights(const ShapedOptions& options) {
  Spec spec;
  spec.channels = options.channels;
  spec.norm = options.norm.value_or(spec.norm);
  spec.groups = options.groups.value_or(spec.groups);
  spec.eps = options.eps.value_or(spec.eps);
  spec.heads = options.heads.value_or(spec.heads);
  spec.residual = !options.no_residual;
  spec.rescale_output = options.rescale_output.value_or(spec.rescale_output);
  spec.scale = options.scale.value_or(spec.scale);
  return spec;
}

io::BlockWeights read_weights(const BlockOptions& options) {
  io::BlockRequest request;
  if (options.prefix) request.prefix = &*options.prefix;
  if (options.norm) request.norm = &*options.norm;
  request.groups = options.groups.value_or(request.groups);
  request.eps = options.eps.value_or(request.eps);
  request.heads = options.heads.value_or(request.heads);
  request.qkv_order = options.qkv_order.value_or(request.qkv_order);
  const bool residual = false;
  if (options.no_residual) request.residual = &residual;
  request.rescale_output = options.rescale_output.value_or(request.rescale_output);
  request.scale = options.scale.value_or(request.scale);

  io::SafetensorsFile file;
  io::BlockWeights weights;
  check(io::SafetensorsFile::open(*options.weights, file));
  check(io::load_block(file, request, weights));
  const std::string block = file.path() + ", block '" + weights.prefix + "'";
  if (options.groups && weights.spec.norm != Norm::kGroup)
    throw Failure("--groups: only gn has groups, but " + block + " has the norm " + to_string(weights.spec.norm));
  if (options.eps && weights.spec.norm == Norm::kNone)
    throw Failure("--eps: only a norm has an epsilon, but " + block + " has none");
  note_assumed(weights, block);
  return weights;
}

io::BlockWeights read_weights(const ShapedOptions& options) {
  io::BlockWeights weights = read_weights(static_cast<const BlockOptions&>(options));
  if (weights.spec.channels != options.channels)
    throw Failure(*options.weights + ", block '" + weights.prefix + "': has " + std::to_string(weights.spec.channels) +
                  " channels, but --shape has " + std::to_string(options.channels));
  return weights;
}

}  // namespace edgeattn::cli
