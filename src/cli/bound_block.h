#pragma once

#include <cstdlib>
#include <memory>
#include <span>
#include <string>

#include "cli/options.h"
#include "edgeattn/block.h"

namespace edgeattn::cli {

/// What this machine makes of a block.
struct PlannedBlock {
  Machine machine;
  Gemm gemm;
  Plan plan;
};

/// Throws Failure, with `context` before the message.
PlannedBlock plan_block(const Spec& spec, const Shape& shape, const BlockOptions& options, const std::string& context);

struct DestroyPool {
  void operator()(pthreadpool_t pool) const noexcept { pthreadpool_destroy(pool); }
};
using Pool = std::unique_ptr<pthreadpool, DestroyPool>;

/// None for one thread: the calling thread then does all. Throws Failure if the threads do not start.
Pool make_pool(std::size_t threads);

/// Memory of the plan's alignment.
class Span {
 public:
  /// Throws Failure, which calls the memory `name`.
  Span(const char* name, std::size_t bytes);
  [[nodiscard]] std::span<std::byte> get() const noexcept { return {memory_.get(), bytes_}; }

 private:
  struct Free {
    void operator()(std::byte* pointer) const noexcept { std::free(pointer); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t bytes_;
};

/// A block with its memory and its threads, ready to run. Errors are Failures with `context` before the message.
class BoundBlock {
 public:
  BoundBlock(const PlannedBlock& planned, const io::BlockWeights& weights, std::string context);

  void run(const float* x, float* y, Profile* profile = nullptr);
  /// Time of prepare and bind.
  [[nodiscard]] double bind_ms() const noexcept { return bind_ms_; }

 private:
  std::string context_;
  Span prepared_memory_, persistent_, scratch_;
  Pool pool_;
  Block block_;
  double bind_ms_ = 0;
};

}  // namespace edgeattn::cli
