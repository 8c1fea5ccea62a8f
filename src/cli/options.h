#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <optional>
#include <string>

#include "edgeattn/io.h"
#include "edgeattn/plan.h"

namespace edgeattn::cli {

/// Which block, and how to run it: the options that most subcommands share, as given.
struct BlockOptions {
  std::optional<std::string> weights;
  std::optional<std::string> prefix;
  std::optional<std::string> norm;
  std::optional<std::size_t> groups;
  std::optional<double> eps;
  std::optional<std::size_t> heads;
  std::optional<std::string> qkv_order;
  std::optional<double> rescale_output;
  bool no_residual = false;
  std::string layout = "nchw";
  std::size_t threads = 1;
  std::string isa = "auto";
  std::string precision = "f32";
  std::string gemm = "auto";
  std::size_t scratch_budget = 0;
  std::optional<std::size_t> l2_bytes;
  std::string tile;
  bool json = false;
};

/// A block whose shape is given, and whose weights need not be.
struct ShapedOptions : BlockOptions {
  std::string shape;
};

/// Accepts whole numbers from 0 on.
CLI::Validator whole_number();
/// Accepts whole numbers from 1 on.
CLI::Validator positive_count();
/// Accepts finite numbers above 0.
CLI::Validator positive_number();

/// Those that say which weights, and what their file cannot tell.
void add_weights_options(CLI::App& command, BlockOptions& options);
/// Those, and how to run the block at any precision.
void add_block_options(CLI::App& command, BlockOptions& options);
void add_precision_option(CLI::App& command, BlockOptions& options);
void add_shaped_options(CLI::App& command, ShapedOptions& options);
CLI::Option* add_output_dtype_option(CLI::App& command, std::string& name);
/// What such a name stands for.
io::Dtype output_dtype(const std::string& name);

/// Checks what the parser alone cannot: options that contradict each other. Throws CLI::ValidationError.
void check_block_options(const BlockOptions& options);

/// B, C, H, W of `--shape`, each at least 1. Throws CLI::ValidationError.
struct ShapeOption {
  Shape shape;
  std::size_t channels = 0;
};
ShapeOption parse_shape(const std::string& text);

/// Row and column of `--attention-map`. Throws CLI::ValidationError.
struct PixelOption {
  std::size_t row = 0;
  std::size_t column = 0;
};
PixelOption parse_pixel(const std::string& text);

PlanOptions plan_options(const BlockOptions& options, const Machine& machine);
GemmChoice gemm_choice(const BlockOptions& options);

/// The spec of a block that comes from no file.
Spec spec_without_weights(const BlockOptions& options, std::size_t channels);

/// Reads the block that the options name. Throws Failure.
io::BlockWeights read_weights(const BlockOptions& options);
/// The same for a block of `shape`: throws Failure unless it has as many channels.
io::BlockWeights read_weights(const ShapedOptions& options, const ShapeOption& shape);

}  // namespace edgeattn::cli
