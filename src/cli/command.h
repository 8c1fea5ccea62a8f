#pragma once

#include <optional>
#include <string>

#include "cli/options.h"

namespace edgeattn::cli {

/// Counted from 0.
struct Pixel {
  std::size_t row = 0;
  std::size_t column = 0;
};

struct RunOptions : BlockOptions {
  std::string input;
  std::optional<std::string> tensor;
  io::Dtype output_dtype = io::Dtype::kF32;
  std::optional<std::string> reference;
  std::optional<std::string> reference_tensor;
  std::optional<Pixel> attention_map;
  std::size_t attention_image = 0;
};

struct PlanCommandOptions : ShapedOptions {};

struct BenchOptions : ShapedOptions {
  std::size_t reps = 0;  ///< 0 for as many as take about a second
};

struct CheckOptions : BlockOptions {
  std::string input;
  std::optional<std::string> tensor;
  std::optional<double> budget;  ///< most relative rms error
};

struct FoldOptions : BlockOptions {};

struct InspectOptions {
  std::string weights;
  bool json = false;
};

/// The subcommands. Each returns the text for standard output, and throws Failure before anything is written.
std::string run_command(const RunOptions& options);
/// `run --attention-map`.
std::string attention_map_command(const RunOptions& options);
std::string plan_command(const PlanCommandOptions& options);
std::string bench_command(const BenchOptions& options);
std::string check_command(const CheckOptions& options);
std::string fold_command(const FoldOptions& options);
std::string inspect_command(const InspectOptions& options);

}  // namespace edgeattn::cli
