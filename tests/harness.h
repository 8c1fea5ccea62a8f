#pragma once

#include <doctest/doctest.h>
#include <pthreadpool.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "edgeattn/block.h"
#include "edgeattn/io.h"
#include "support.h"

/// Fails the test with the status's message.
#define REQUIRE_OK(expression)                                      \
  do {                                                              \
    const ::edgeattn::Status status_of_call = (expression);         \
    REQUIRE_MESSAGE(status_of_call.ok(), std::string(status_of_call.message())); \
  } while (false)

/// Checks that a call fails with `code_expected` and a message that contains `text`.
#define CHECK_FAILS(expression, code_expected, text)                                                      \
  do {                                                                                                    \
    const ::edgeattn::Status status_of_call = (expression);                                               \
    CHECK_MESSAGE(status_of_call.code() == (code_expected),                                              \
                  std::string(::edgeattn::to_string(status_of_call.code())));                             \
    CHECK_MESSAGE(std::string_view(status_of_call.message()).find(text) != std::string_view::npos,        \
                  std::string(status_of_call.message()));                                                 \
  } while (false)

namespace edgeattn::test {

/// A struct of the C API with its size set and all else zero.
template <class Struct>
Struct sized() {
  Struct value{};
  value.size = sizeof value;
  return value;
}

/// What XNNPACK answers on this machine; probed once.
inline const Gemm& gemm() {
  static const Gemm answer = [] {
    Gemm result;
    REQUIRE_OK(gemm_traits(detect_machine(), result));
    return result;
  }();
  return answer;
}

/// The options of a case, with the instruction set under test.
inline PlanOptions options_under_test(PlanOptions options = {}) {
  options.isa = isa();
  return options;
}

struct PoolDeleter {
  void operator()(pthreadpool* pool) const { pthreadpool_destroy(pool); }
};
using Pool = std::unique_ptr<pthreadpool, PoolDeleter>;

inline Pool make_pool(std::size_t threads) { return Pool(threads > 1 ? pthreadpool_create(threads) : nullptr); }

/// A block with memory of its own: scratch filled with NaNs before every run, so that nothing can rely on what it held.
class TestBlock {
 public:
  /// @param shift  bytes past a multiple of 4096 at which the spans start
  /// @param pool   to run on; null for one of its own, of as many threads as there are slots
  TestBlock(const io::BlockWeights& weights, const Shape& shape, const PlanOptions& options, std::size_t shift = 0,
            pthreadpool_t pool = nullptr)
      : pool_(pool == nullptr ? make_pool(options.threads) : Pool()) {
    const Machine machine = detect_machine();
    REQUIRE_OK(edgeattn::plan(weights.spec, shape, options_under_test(options), machine, gemm(), plan_));
    REQUIRE(plan_.isa == isa());
    prepared_memory_ = std::make_unique<AlignedBytes>(plan_.prepared_bytes, 4096, shift);
    persistent_ = std::make_unique<AlignedBytes>(plan_.persistent_bytes, 4096, shift);
    scratch_ = std::make_unique<AlignedBytes>(plan_.scratch_bytes, 4096, shift);
    Prepared prepared;
    REQUIRE_OK(prepare(weights.spec, weights.view(), machine, gemm(), span(*prepared_memory_), prepared));
    REQUIRE_OK(edgeattn::bind(plan_, prepared, span(*persistent_), span(*scratch_), pool == nullptr ? pool_.get() : pool, block_));
  }

  std::vector<float> run(const std::vector<float>& x) {
    std::vector<float> y(x.size(), 42.0f);
    poison_scratch();
    REQUIRE_OK(block_.run(x.data(), y.data()));
    return y;
  }

  void run_in_place(std::vector<float>& x) {
    poison_scratch();
    REQUIRE_OK(block_.run(x.data(), x.data()));
  }

  Block& block() { return block_; }
  const Plan& plan() const { return plan_; }

 private:
  static std::span<std::byte> span(AlignedBytes& bytes) { return {bytes.data(), bytes.size()}; }

  void poison_scratch() { std::fill_n(scratch_->data(), scratch_->size(), std::byte{0xFF}); }

  Pool pool_;
  Plan plan_;
  std::unique_ptr<AlignedBytes> prepared_memory_, persistent_, scratch_;
  Block block_;
};

/// Random weights of a spec, different for every stream.
inline io::BlockWeights random_weights(const Spec& spec, std::uint64_t stream) {
  io::BlockWeights weights;
  REQUIRE_OK(io::random_block(spec, seed() * 1000003 + stream, weights));
  return weights;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace edgeattn::test
