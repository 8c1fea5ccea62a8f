#pragma once

#include <doctest/doctest.h>
#include <pthreadpool.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "edgeattn/block.h"
#include "edgeattn/io.h"
#include "pages.h"
#include "plan/precision.h"
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

/// What the GEMM under test answers on this machine; probed once.
inline const Gemm& gemm() {
  static const Gemm answer = [] {
    Gemm result;
    REQUIRE_OK(gemm_traits(detect_machine(), result, gemm_choice()));
    return result;
  }();
  return answer;
}

/// The options of a case, with the instruction set and the precision under test.
inline PlanOptions options_under_test(PlanOptions options = {}) {
  options.isa = isa();
  options.precision = precision();
  return options;
}

/// What `prepare` makes for plans with those options.
inline PreparedFormat format_under_test() { return {.precision = precision(), .isa = isa()}; }

/// Whether weights are kept in IEEE half precision, as on ARM without bfloat16.
inline bool weights_are_fp16() {
  if (precision() == Precision::kFloat32) return false;
  ReducedSet set{};
  REQUIRE_OK(choose_reduced(precision(), isa(), detect_machine(), set));
  return ReducedTable(set).traits.half_is_fp16;
}

struct PoolDeleter {
  void operator()(pthreadpool* pool) const { pthreadpool_destroy(pool); }
};
using Pool = std::unique_ptr<pthreadpool, PoolDeleter>;

inline Pool make_pool(std::size_t threads) { return Pool(threads > 1 ? pthreadpool_create(threads) : nullptr); }

/// A block with memory of its own, to the byte, between pages that nobody may touch. Before every run scratch is filled with one
/// of several patterns, so that nothing can rely on what it held; during the run, x and the prepared weights cannot be written.
class TestBlock {
 public:
  /// @param shift  bytes past a multiple of 4096 at which the spans start; 0 for where they end right before another page
  /// @param pool   to run on; null for one of its own, of as many threads as there are slots
  TestBlock(const io::BlockWeights& weights, const Shape& shape, const PlanOptions& options, std::size_t shift = 0,
            pthreadpool_t pool = nullptr)
      : own_pool_(pool == nullptr ? make_pool(options.threads) : Pool()), pool_(pool == nullptr ? own_pool_.get() : pool) {
    const Machine machine = detect_machine();
    REQUIRE_OK(edgeattn::plan(weights.spec, shape, options_under_test(options), machine, gemm(), plan_));
    REQUIRE(plan_.isa == isa());
    prepared_memory_ = std::make_unique<GuardedBytes>(plan_.prepared_bytes, 64, shift);
    persistent_ = std::make_unique<GuardedBytes>(plan_.persistent_bytes, 64, shift);
    REQUIRE_OK(prepare(weights.spec, weights.view(), machine, gemm(), prepared_memory_->span(), prepared_, format_under_test()));
    prepared_memory_->writable(false);
    bind_to(std::make_shared<GuardedBytes>(plan_.scratch_bytes, 64, shift));
  }

  /// Binds again, to scratch that other blocks may use too, at other times.
  void bind_to(std::shared_ptr<GuardedBytes> scratch) {
    scratch_ = std::move(scratch);
    REQUIRE_OK(bind_with(persistent_->span(), scratch_->span()));
  }
  Status bind_with(std::span<std::byte> persistent, std::span<std::byte> scratch) {
    return edgeattn::bind(plan_, prepared_, persistent, scratch, pool_, block_);
  }

  std::vector<float> run(const std::vector<float>& x) {
    const std::size_t bytes = x.size() * sizeof(float);
    GuardedBytes in(bytes, sizeof(float)), out(bytes, sizeof(float));
    std::copy(x.begin(), x.end(), in.floats());
    in.writable(false);
    poison_scratch();
    REQUIRE_OK(block_.run(in.floats(), out.floats()));
    CHECK(out.margins_intact());
    CHECK(memory_intact());
    return {out.floats(), out.floats() + x.size()};
  }

  void run_in_place(std::vector<float>& x) {
    poison_scratch();
    REQUIRE_OK(block_.run(x.data(), x.data()));
  }

  Block& block() { return block_; }
  const Plan& plan() const { return plan_; }
  std::span<std::byte> persistent() const { return persistent_->span(); }
  std::span<std::byte> scratch() const { return scratch_->span(); }

 private:
  bool memory_intact() const { return persistent_->margins_intact() && scratch_->margins_intact(); }

  /// NaNs, signalling NaNs, and numbers that nothing survives.
  void poison_scratch() {
    constexpr std::uint32_t kPatterns[] = {0xFFFFFFFF, 0x7FA5A5A5, 0x7F7F7F7F};
    const std::uint32_t pattern = kPatterns[runs_++ % std::size(kPatterns)];
    for (std::size_t i = 0; i + sizeof pattern <= scratch_->size(); i += sizeof pattern)
      std::memcpy(scratch_->data() + i, &pattern, sizeof pattern);
  }

  Pool own_pool_;
  pthreadpool_t pool_;
  Plan plan_;
  Prepared prepared_;
  std::unique_ptr<GuardedBytes> prepared_memory_, persistent_;
  std::shared_ptr<GuardedBytes> scratch_;
  Block block_;
  std::size_t runs_ = 0;
};

/// Random weights of a spec, different for every stream.
inline io::BlockWeights random_weights(const Spec& spec, std::uint64_t stream) {
  io::BlockWeights weights;
  REQUIRE_OK(io::random_block(spec, seed() * 1000003 + stream, weights));
  return weights;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  const auto bits = [](float value) { return std::bit_cast<std::uint32_t>(value); };
  return std::ranges::equal(a, b, {}, bits, bits);
}

}  // namespace edgeattn::test
