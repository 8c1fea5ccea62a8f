#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "edgeattn/block.h"
#include "edgeattn/plan.h"
#include "edgeattn/status.h"

/// Files and reports: what the tool and desktop hosts use. Uses the heap; exceptions stay inside.
namespace edgeattn::io {

/// kF8E4m3 is E4M3FN, without infinities. kOther is sized and passed over, but never read.
enum class Dtype : std::uint8_t { kF64, kF32, kF16, kBf16, kF8E5m2, kF8E4m3, kOther };

struct EDGEATTN_API TensorInfo {
  std::string name;
  std::string dtype_name;  ///< as the file spells it: "F32"
  Dtype dtype = Dtype::kOther;
  std::vector<std::size_t> shape;
  std::size_t offset = 0;  ///< bytes from the start of its file
  std::size_t bytes = 0;
  std::size_t file = 0;  ///< which of SafetensorsFile::files has it

  [[nodiscard]] std::size_t elements() const noexcept;
};

/// Pairs of key and value of a file's `__metadata__`.
using Metadata = std::vector<std::pair<std::string, std::string>>;

/// A safetensors file, or the shards of a model by their index; checked in full before any tensor is handed out
/// (docs/safetensors.md).
class EDGEATTN_API SafetensorsFile {
 public:
  SafetensorsFile() noexcept;
  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;
  ~SafetensorsFile();

  /// Maps a regular file, or reads it where the system does not map it; reads a pipe to its end into memory. For a
  /// `model.safetensors.index.json`, maps the shards beside it. kNotFound, kIo, kFormat (with the rule that the file breaks, or
  /// what it is instead of a safetensors file), kOutOfMemory. Messages start with the path of what is wrong: of the index, or of
  /// a shard.
  static Status open(const std::string& path, SafetensorsFile& file) noexcept;
  /// The same for bytes in memory, which must outlive `file`. `name` stands for the path in messages.
  static Status parse(std::span<const std::byte> bytes, std::string_view name, SafetensorsFile& file) noexcept;

  [[nodiscard]] const std::string& path() const noexcept;
  /// The files that were opened: this one, and if it is an index, then its shards.
  [[nodiscard]] const std::vector<std::string>& files() const noexcept;
  /// In the order of their data.
  [[nodiscard]] const std::vector<TensorInfo>& tensors() const noexcept;
  /// Sorted by key; of shards, what all of them say.
  [[nodiscard]] const Metadata& metadata() const noexcept;
  [[nodiscard]] const TensorInfo* find(std::string_view name) const noexcept;

  /// Converts a tensor to float32 (F64 rounded once, the smaller ones exactly). kUnsupported for a dtype that is kOther, and for
  /// 8-bit floats beside a key with their scale; kInvalidArgument for a tensor with no elements.
  Status read(const TensorInfo& tensor, std::vector<float>& values) const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A tensor to write.
struct NamedTensor {
  std::string name;
  std::vector<std::size_t> shape;
  std::span<const float> values;
  Dtype dtype = Dtype::kF32;  ///< in the file: kF32, or kF16 or kBf16, to which values are rounded to nearest, ties to even
};

/// Writes tensors. To a temporary name beside `path`, which is then renamed, unless `path` exists and is no regular file, or
/// names a descriptor of this process (/dev/stdout): that is written directly. A writable file that no other can be renamed over
/// (a mount point, or in a folder that is read-only) is overwritten after room for all was reserved. kIo and kOutOfMemory name
/// the path and the reason; then nothing is left behind and an old file is untouched, unless the message says that it is lost.
/// Meanwhile the calling thread holds back SIGINT, SIGTERM and SIGHUP, so that they leave no temporary file either.
EDGEATTN_API Status write_safetensors(const std::string& path, std::span<const NamedTensor> tensors,
                                      const Metadata& metadata = {}) noexcept;
/// The same for one tensor.
EDGEATTN_API Status write_safetensors(const std::string& path, std::string_view tensor, std::span<const std::size_t> shape,
                                      std::span<const float> values, Dtype dtype = Dtype::kF32) noexcept;

/// Writes text with the same care as write_safetensors.
EDGEATTN_API Status write_text(const std::string& path, std::string_view text) noexcept;

/// What weights files of most key styles do not tell of a block, as a set of bits (docs/safetensors.md).
struct Untold {
  static constexpr std::uint32_t kHeads = 1;
  static constexpr std::uint32_t kGroups = 2;
  static constexpr std::uint32_t kEps = 4;
  static constexpr std::uint32_t kRescaleOutput = 8;
  static constexpr std::uint32_t kQkvOrder = 16;
};

/// A block recognised in a weights file.
struct BlockEntry {
  std::string prefix;     ///< "am." for am.norm.weight, or ""
  std::string style;      ///< of docs/safetensors.md: "ddpm", "diffusers", …
  std::size_t channels = 0;
  Norm norm = Norm::kGroup;  ///< as far as the file tells: gn and in look alike and are kGroup
  double default_eps = 0;    ///< of the style, or what the file was folded with; 0: the caller has to say
  bool any_heads = false;    ///< the caller has to say how many
  std::uint32_t needed = 0;   ///< of Untold: what a request has to say
  std::uint32_t assumed = 0;  ///< of Untold: what is assumed unless a request says it
};

/// Blocks whose keys and shapes are complete, with no key that changes what they compute; sorted by prefix, each once.
EDGEATTN_API Status find_blocks(const SafetensorsFile& file, std::vector<BlockEntry>& blocks) noexcept;

/// What has the keys of a block, and which load_block refuses whatever the request tells besides the prefix: a tensor is missing
/// or has another shape, a dtype that is not read, a value that is not finite.
struct RefusedBlock {
  std::string prefix;
  std::string style;
  std::string reason;  ///< what load_block says, without the path
};

/// Tries to load every block, and lists those that are refused, sorted by prefix. kOutOfMemory.
EDGEATTN_API Status find_refused_blocks(const SafetensorsFile& file, std::vector<RefusedBlock>& blocks) noexcept;

/// How the rows of one qkv tensor are ordered, with several heads of d = C/heads rows.
enum class QkvOrder : std::uint8_t {
  kUnsaid,
  kNew,     ///< [q, k, v][head][d]: guided-diffusion's QKVAttention
  kLegacy,  ///< [head][q, k, v][d]: its QKVAttentionLegacy
};

[[nodiscard]] EDGEATTN_API const char* to_string(QkvOrder order) noexcept;  ///< "new", "legacy", "unsaid"

/// Which block of a file, and what the file cannot tell. Folded weights tell all; what contradicts them is an error. What is
/// taken as usual because nothing tells it stands in BlockWeights::assumed.
struct BlockRequest {
  const std::string* prefix = nullptr;  ///< null: the file's only block
  const Norm* norm = nullptr;           ///< null: as the file's keys say; kNone only where this asks for it
  std::size_t groups = 0;               ///< 0: 32; an error where that does not divide C
  double eps = 0;                       ///< 0: the style's default; an error for a style that has several
  std::size_t heads = 0;                ///< 0: 1; an error for a style whose modules have any number
  QkvOrder qkv_order = QkvOrder::kUnsaid;  ///< for guided-diffusion, where several heads need it
  const bool* residual = nullptr;       ///< null: true
  double rescale_output = 0;            ///< 0: 1
  double scale = 0;                     ///< of the scores; 0: 1/√(C/heads)
};

/// Weights read from a file, with the spec they belong to.
struct EDGEATTN_API BlockWeights {
  Spec spec;
  std::string prefix;
  std::string style;
  std::vector<float> norm_weight, norm_bias, running_mean, running_var;
  std::vector<float> qkv_weight, qkv_bias, out_weight, out_bias;  ///< rows of q, then k, then v, whatever the file has
  std::vector<float> score_weight, score_bias;  ///< of folded weights, which have no qkv
  /// Of Untold: what of the spec neither file nor request told, so that it is as the style usually has it.
  std::uint32_t assumed = 0;

  /// Views of the vectors; a missing tensor is null.
  [[nodiscard]] Weights view() const noexcept;
};

/// Reads one block. kNotFound lists the prefixes that exist; kInvalidArgument and kFormat name file, tensor, and what was
/// expected; a value that is not finite is kInvalidArgument, and so is a request that leaves open what the file cannot tell;
/// kUnsupported names what looks like a block and is none (a transposed kernel, another kind of attention), and any key behind
/// the block's prefix that may change what it computes (a LoRA, a scale of quantised weights, a norm by a name that is not
/// known).
EDGEATTN_API Status load_block(const SafetensorsFile& file, const BlockRequest& request, BlockWeights& weights) noexcept;

/// Folds weights as trained: what prepare would do again at every start.
///
/// @param pool  as for `fold` of block.h
EDGEATTN_API Status fold_block(const BlockWeights& weights, const Machine& machine, BlockWeights& folded,
                               pthreadpool_t pool = nullptr) noexcept;

/// Writes folded weights, the prefix kept, with the spec as metadata (docs/safetensors.md, style edgeattn-folded).
EDGEATTN_API Status write_folded(const std::string& path, const BlockWeights& folded) noexcept;

/// Normal random weights of deviation 1/√C and biases of deviation 0.1, from `seed`, for plans and benchmarks without a file.
EDGEATTN_API Status random_block(const Spec& spec, std::uint64_t seed, BlockWeights& weights) noexcept;

/// The pixel that asks, counted from 0.
struct AttentionQuery {
  std::size_t image = 0;
  std::size_t row = 0;
  std::size_t column = 0;
};

/// The softmax weights with which one pixel attends to every pixel of its image: what Block::run mixes their values by, but in
/// float64 from the weights as given.
///
/// @param weights  as trained or folded, finite, as load_block gives them
/// @param x        [B, C, H, W] or [B, H, W, C] of `shape`, as `layout` says
/// @param map      [heads, H, W]: sums to 1 for every head; untouched after an error
/// kInvalidArgument: weights or x of another size than spec and shape tell, a query outside of them, an image with a value
/// that is not finite (with its place), scores that overflow; kOutOfMemory.
EDGEATTN_API Status attention_map(const BlockWeights& weights, const Shape& shape, Layout layout, std::span<const float> x,
                                  const AttentionQuery& query, std::vector<double>& map) noexcept;

/// A block's y without the errors of float32.
struct ExactOutput {
  std::vector<double> y;     ///< in the layout of x
  double largest_score = 0;  ///< in magnitude: of the exponents q·k·scale that the softmax gets
};

/// Computes in float64, from the weights as given, what Block::run does: to tell how far a run is from it. Weights as trained are not
/// folded for it; folded ones cannot be unfolded, so that their y has the error of folding once rounded, and their scores lack what is
/// the same for all keys.
///
/// @param weights  as trained or folded, finite, as load_block gives them
/// @param x        [B, C, H, W] or [B, H, W, C] of `shape`, as `layout` says
/// @param pool     of any size, or null: then it uses the calling thread only. y does not depend on it
/// @param output   untouched after an error
/// Takes 4NC·8 bytes and 32·N·8 for each thread, and time: 43 GFLOP for C512 64x64. kInvalidArgument: weights or x of another size than spec
/// and shape tell, a value of x that is not finite (with its place), scores that overflow; kOutOfMemory.
EDGEATTN_API Status exact_output(const BlockWeights& weights, const Shape& shape, Layout layout, std::span<const float> x,
                                 pthreadpool_t pool, ExactOutput& output) noexcept;

/// The memory map of a plan as a table for a terminal.
EDGEATTN_API Status plan_text(const Plan& plan, std::string& text) noexcept;
/// The object of `edgeattn plan --json`.
EDGEATTN_API Status plan_json(const Plan& plan, std::string& text) noexcept;
/// A picture of the memory map: bytes against phases.
EDGEATTN_API Status plan_svg(const Plan& plan, std::string& text) noexcept;

/// What was measured of a block, for the reports of `edgeattn bench`.
struct EDGEATTN_API BenchReport {
  Plan plan;
  std::size_t reps = 0;    ///< timed runs
  double best_ms = 0;
  double median_ms = 0;
  double fma_peak_gflops = 0;     ///< of multiply-adds alone, on as many threads as can run at once
  double phase_ms[kPhases] = {};  ///< of the fastest profiled run: summed over threads, divided by their number

  /// Of the unfolded formula, B·(8NC² + 4N²C)·10⁻⁹.
  [[nodiscard]] double gflop_naive() const noexcept;
  /// Of the products that a run does, B·(4NC² + 4N²C)·10⁻⁹.
  [[nodiscard]] double gflop_own() const noexcept;
  /// gflop_own over the best time.
  [[nodiscard]] double gflops_own() const noexcept;
  /// gflops_own over the FMA peak.
  [[nodiscard]] double roofline_fraction() const noexcept;
  /// Sum of phase_ms.
  [[nodiscard]] double phases_ms() const noexcept;
};

/// Two lines of results, and a table of the phases, for a terminal.
EDGEATTN_API Status bench_text(const BenchReport& bench, std::string& text) noexcept;
/// The object of `edgeattn bench --json`.
EDGEATTN_API Status bench_json(const BenchReport& bench, std::string& text) noexcept;
/// A picture: the time of each phase, and own GFLOP/s against the FMA peak.
EDGEATTN_API Status bench_svg(const BenchReport& bench, std::string& text) noexcept;

}  // namespace edgeattn::io
