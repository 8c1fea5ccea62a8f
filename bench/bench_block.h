#pragma once

#include <pthreadpool.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "edgeattn/block.h"
#include "edgeattn/io.h"

namespace edgeattn::bench {

/// Ends the process with the message of a status that is an error.
inline void require(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.message());
  std::exit(1);
}

/// Zeroed memory from a page's start, every page of it touched.
class Memory {
 public:
  explicit Memory(std::size_t bytes)
      : data_(std::aligned_alloc(kPage, (bytes + kPage - 1) / kPage * kPage)), bytes_(bytes) {
    if (data_ == nullptr) std::exit((std::fprintf(stderr, "no memory of %zu bytes\n", bytes), 1));
    std::memset(data_.get(), 0, bytes);
  }

  [[nodiscard]] std::span<std::byte> bytes() const { return {static_cast<std::byte*>(data_.get()), bytes_}; }
  [[nodiscard]] float* floats() const { return static_cast<float*>(data_.get()); }

 private:
  struct Free {
    void operator()(void* pointer) const { std::free(pointer); }
  };
  static constexpr std::size_t kPage = 4096;

  std::unique_ptr<void, Free> data_;
  std::size_t bytes_;
};

/// This machine, and what XNNPACK and the built-in GEMM answer on it.
struct Host {
  Machine machine = detect_machine();
  Gemm gemm;
  Gemm builtin;
};

/// Initialises XNNPACK at the first call.
inline const Host& host() {
  static const Host host = [] {
    Host made;
    require(gemm_traits(made.machine, made.gemm, GemmChoice::kXnnpack));
    require(builtin_gemm(made.machine, made.builtin));
    return made;
  }();
  return host;
}

inline Plan make_plan(const Spec& spec, const Shape& shape, const PlanOptions& options, const Gemm& gemm = host().gemm) {
  Plan made;
  require(plan(spec, shape, options, host().machine, gemm, made));
  return made;
}

/// A pool of `threads` threads; null, the calling thread alone, for one.
class Pool {
 public:
  explicit Pool(std::size_t threads) : pool_(threads > 1 ? pthreadpool_create(threads) : nullptr) {}
  ~Pool() { pthreadpool_destroy(pool_); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  [[nodiscard]] pthreadpool_t get() const { return pool_; }

 private:
  pthreadpool_t pool_;
};

/// A block with random weights and input, bound to memory and a pool of its own.
class BoundBlock {
 public:
  BoundBlock(const Spec& spec, const Shape& shape, const PlanOptions& options)
      : plan_(make_plan(spec, shape, options)),
        prepared_span_(plan_.prepared_bytes),
        persistent_(plan_.persistent_bytes),
        scratch_(plan_.scratch_bytes),
        x_(elements() * sizeof(float)),
        y_(elements() * sizeof(float)),
        pool_(plan_.threads) {
    io::BlockWeights weights;
    require(io::random_block(spec, 1, weights));
    Prepared prepared;
    require(prepare(spec, weights.view(), host().machine, host().gemm, prepared_span_.bytes(), prepared,
                    {.precision = plan_.precision, .isa = plan_.isa}));
    require(edgeattn::bind(plan_, prepared, persistent_.bytes(), scratch_.bytes(), pool_.get(), block_));
    const std::vector<float>& values = weights.qkv_weight;
    for (std::size_t i = 0; i < elements(); ++i) x_.floats()[i] = values[i % values.size()] * 20.0f;
  }

  void run(Profile* profile = nullptr) { require(block_.run(x_.floats(), y_.floats(), profile)); }

  [[nodiscard]] const Plan& plan() const { return plan_; }

 private:
  [[nodiscard]] std::size_t elements() const { return plan_.shape.batch * plan_.spec.channels * plan_.shape.tokens(); }

  Plan plan_;
  Memory prepared_span_;
  Memory persistent_;
  Memory scratch_;
  Memory x_;
  Memory y_;
  Pool pool_;
  Block block_;
};

}  // namespace edgeattn::bench
