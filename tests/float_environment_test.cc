#include <algorithm>
#include <cfenv>
#include <cmath>
#include <string>

#include "edgeattn/tensor.h"
#include "harness.h"
#include "tensors.h"

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

/// What a host has set for its own arithmetic: traps that end it, a rounding mode, flags. No call of ours trips over the one, depends on
/// the other or changes any.
namespace edgeattn::test {
namespace {

/// What a thread has set: of both units, on x86.
struct HostState {
  int flags = std::fetestexcept(FE_ALL_EXCEPT);
  int rounding = std::fegetround();
#if defined(__GLIBC__)
  int traps = fegetexcept();
#endif
#if defined(__SSE2__)
  unsigned vectors = _mm_getcsr();
#endif
  bool operator==(const HostState&) const = default;
};

/// What the host has set while one of our calls is at work.
struct Host {
  const char* name;
  int traps = 0;
  int rounding = FE_TONEAREST;
  int flags = 0;
};

constexpr Host kHosts[] = {
    {.name = "traps of Free Pascal", .traps = FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW},
    {.name = "every trap", .traps = FE_ALL_EXCEPT},
    {.name = "flags raised", .flags = FE_DIVBYZERO | FE_INEXACT},
#if !defined(__arm__)  // NEON of armv7 rounds to nearest, whatever the mode
    {.name = "rounds up", .rounding = FE_UPWARD},
    {.name = "rounds to zero, flags and traps", .traps = FE_INVALID, .rounding = FE_TOWARDZERO, .flags = FE_OVERFLOW},
#endif
};

/// Makes a call as the host would, and sees that the host's state is the same after it.
template <class Call>
auto as_host(const Host& host, Call call) {
  fenv_t tests{};
  fegetenv(&tests);
  feclearexcept(FE_ALL_EXCEPT);
  fesetround(host.rounding);
  feraiseexcept(host.flags);
#if defined(__GLIBC__)
  feenableexcept(host.traps & ~host.flags);
#endif
  const HostState before;
  auto result = call();
  const HostState after;
  fesetenv(&tests);
  CHECK((after == before));
#if defined(__GLIBC__) && defined(__SSE2__)
  CHECK(before.traps == (host.traps & ~host.flags));
#endif
  return result;
}

struct FloatCase {
  const char* name;
  Spec spec;
  Shape shape;
  PlanOptions options;
  float amplitude = 1;  ///< of x
  float offset = 0;     ///< added to x
  float weight = 1;     ///< of the queries: how far scores lie apart
};

const FloatCase kFloatCases[] = {
    {"as usual", {.channels = 64}, {1, 8, 8}, {.threads = 1}},
    {"threads", {.channels = 64}, {2, 16, 16}, {.threads = 3}},
    {"tails", {.channels = 36, .groups = 3}, {1, 7, 5}, {.threads = 2}},
    {"tails, NHWC", {.channels = 20, .groups = 4}, {3, 3, 11}, {.layout = Layout::kNhwc, .threads = 2}},
    {"key blocks", {.channels = 32, .groups = 8}, {1, 17, 19}, {.threads = 2, .key_block = 64}},
    {"heads", {.channels = 48, .norm = Norm::kBatch, .heads = 3}, {2, 6, 7}, {.threads = 2}},
    {"images without contrast", {.channels = 64}, {1, 5, 5}, {.threads = 1}, 0, 3},
    {"large values", {.channels = 32, .groups = 8}, {1, 6, 6}, {.threads = 1}, 1, 1e20f},
    {"scores far apart", {.channels = 32, .groups = 8}, {1, 9, 9}, {.threads = 2, .key_block = 32}, 1, 0, 1e9f},
    {"no norm, zeros", {.channels = 24, .norm = Norm::kNone, .residual = false}, {1, 4, 5}, {.threads = 1}, 0},
};

std::vector<float> image_of(const FloatCase& row) {
  std::mt19937_64 engine = random_engine(71);
  std::vector<float> x = normal_values(engine, row.shape.batch * row.spec.channels * row.shape.tokens());
  for (float& value : x) value = value * row.amplitude + row.offset;
  return x;
}

io::BlockWeights weights_of(const FloatCase& row) {
  io::BlockWeights weights = random_weights(row.spec, 71);
  const std::size_t queries = row.spec.channels * row.spec.channels;
  // fp16 holds no larger ones; scores still lie hundreds apart.
  const float factor = weights_are_fp16() ? std::min(row.weight, 1e3f) : row.weight;
  for (std::size_t i = 0; i < queries; ++i) weights.qkv_weight[i] *= factor;
  return weights;
}

/// From plan to output, each call as the host makes it, on a pool whose threads have the host's state too.
std::vector<float> run_as(const Host& host, const FloatCase& row, const io::BlockWeights& weights, std::vector<float> x) {
  const Machine machine = detect_machine();
  Gemm products;
  REQUIRE_OK(as_host(host, [&] { return gemm_traits(machine, products, gemm_choice()); }));
  Plan planned;
  REQUIRE_OK(as_host(host, [&] {
    return plan(row.spec, row.shape, options_under_test(row.options), machine, products, planned);
  }));
  AlignedBytes memory(planned.prepared_bytes), persistent(planned.persistent_bytes), scratch(planned.scratch_bytes);
  Prepared prepared;
  REQUIRE_OK(as_host(host, [&] {
    return prepare(row.spec, weights.view(), machine, products, {memory.data(), memory.size()}, prepared, format_under_test());
  }));
  const Pool pool = as_host(host, [&] { return make_pool(row.options.threads); });  // its threads inherit the state
  Block block;
  REQUIRE_OK(as_host(host, [&] {
    return bind(planned, prepared, {persistent.data(), persistent.size()}, {scratch.data(), scratch.size()}, pool.get(), block);
  }));
  std::vector<float> y(x.size());
  Profile profile;
  REQUIRE_OK(as_host(host, [&] { return block.run(x.data(), y.data(), &profile); }));
  REQUIRE_OK(as_host(host, [&] { return block.run(x.data(), x.data()); }));
  CHECK(same_bits(x, y));
  return y;
}

TEST_CASE("hosts with traps, flags and rounding modes of their own get the same bits, and keep what they had") {
  for (const FloatCase& row : kFloatCases) {
    CAPTURE(std::string(row.name));
    const io::BlockWeights weights = weights_of(row);
    const std::vector<float> expected = run_as({.name = "none"}, row, weights, image_of(row));
    for (const float value : expected) REQUIRE(std::isfinite(value));
    for (const Host& host : kHosts) {
      CAPTURE(std::string(host.name));
      CHECK(same_bits(run_as(host, row, weights, image_of(row)), expected));
    }
  }
}

TEST_CASE("what is not finite trips no trap and raises no flag of the host either") {
  for (const float bad : {__builtin_nanf(""), __builtin_inff()}) {
    const FloatCase& row = kFloatCases[1];
    std::vector<float> x = image_of(row);
    x[7] = bad;
    const std::vector<float> y = run_as(kHosts[1], row, random_weights(row.spec, 71), x);
    CHECK(std::isnan(y.front()));
    CHECK(std::isfinite(y.back()));
  }
}

TEST_CASE("weights that overflow are an error under traps too, and so are numbers that make no spec") {
  const FloatCase& row = kFloatCases[0];
  const Machine machine = detect_machine();
  io::BlockWeights weights = random_weights(row.spec, 72);
  for (float& value : weights.qkv_weight) value = 3e38f;
  Spec spec = row.spec;
  spec.eps = __builtin_nan("");
  for (const Host& host : kHosts) {
    CAPTURE(std::string(host.name));
    Plan planned;
    CHECK(as_host(host, [&] { return plan(spec, row.shape, {}, machine, gemm(), planned); }).code() == StatusCode::kInvalidArgument);
    std::size_t bytes = 0;
    REQUIRE_OK(as_host(host, [&] { return prepared_bytes(row.spec, machine, gemm(), bytes, format_under_test()); }));
    AlignedBytes memory(bytes);
    Prepared prepared;
    CHECK(as_host(host, [&] {
      return prepare(row.spec, weights.view(), machine, gemm(), {memory.data(), memory.size()}, prepared, format_under_test());
    }).code() == StatusCode::kInvalidArgument);
    std::vector<float> folded[2] = {std::vector<float>(64 * 64), std::vector<float>(64)};
    CHECK(as_host(host, [&] {
      return fold(row.spec, weights.view(), machine, {folded[0], folded[1], folded[0], folded[1]});
    }).code() == StatusCode::kInvalidArgument);
  }
}

TEST_CASE("float64 results, maps, softmax and products of tensors under traps") {
  const FloatCase& row = kFloatCases[2];
  const io::BlockWeights weights = random_weights(row.spec, 73);
  const std::vector<float> x = image_of(row);
  for (const Host& host : kHosts) {
    CAPTURE(std::string(host.name));
    io::ExactOutput exact;
    REQUIRE_OK(as_host(host, [&] { return io::exact_output(weights, row.shape, Layout::kNchw, x, nullptr, exact); }));
    std::vector<double> map;
    REQUIRE_OK(as_host(host, [&] { return io::attention_map(weights, row.shape, Layout::kNchw, x, {}, map); }));
    std::vector<float> a = x, out(x.size());
    a[3] = -__builtin_inff();
    TensorView<float> from, to;
    REQUIRE_OK(wrap(a, {36, 35}, from));
    REQUIRE_OK(wrap(out, {36, 35}, to));
    for (const int dim : {0, 1}) REQUIRE_OK(as_host(host, [&] { return softmax(from, dim, to, isa()); }));
  }
}

}  // namespace
}  // namespace edgeattn::test
