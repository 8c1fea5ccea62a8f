#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "edgeattn/io.h"
#include "edgeattn/plan.h"

namespace edgeattn::cli {

/// Which block, and how to run it: the options that most subcommands share. None contradicts another.
struct BlockOptions {
  std::optional<std::string> weights;
  std::optional<std::string> prefix;
  std::optional<Norm> norm;
  std::optional<std::size_t> groups;
  std::optional<double> eps;
  std::optional<std::size_t> heads;
  std::optional<io::QkvOrder> qkv_order;
  std::optional<double> rescale_output;
  std::optional<double> scale;
  bool no_residual = false;
  Layout layout = Layout::kNchw;
  std::size_t threads = 1;
  Isa isa = Isa::kAuto;
  Precision precision = Precision::kFloat32;
  GemmChoice gemm = GemmChoice::kAuto;
  std::size_t scratch_budget = 0;
  std::optional<std::size_t> l2_bytes;
  std::size_t query_tile = 0;  ///< 0 for the plan's choice, as is key_block
  std::size_t key_block = 0;
  bool json = false;
  std::optional<std::string> output;  ///< --output or --svg: the file that is written
};

/// A block whose shape is given, and whose weights need not be.
struct ShapedOptions : BlockOptions {
  Shape shape;
  std::size_t channels = 0;
};

/// Of `--threads`, whose 0 means all processors.
std::size_t threads_of(const BlockOptions& options, const Machine& machine);

PlanOptions plan_options(const BlockOptions& options, const Machine& machine);

/// The spec of a block that comes from no file.
Spec spec_without_weights(const ShapedOptions& options);

/// Reads the block that the options name, and notes on standard error what neither they nor the file tell. Throws Failure.
io::BlockWeights read_weights(const BlockOptions& options);
/// The same, and throws Failure unless the block has as many channels as the shape.
io::BlockWeights read_weights(const ShapedOptions& options);

}  // namespace edgeattn::cli
