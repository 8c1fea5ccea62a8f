#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <string>

#include "edgeattn/io.h"
#include "files.h"
#include "harness.h"
#include "support.h"
#include "weights_file.h"

using namespace edgeattn;
using namespace edgeattn::test;
using io::BlockWeights;
using io::SafetensorsFile;

TEST_CASE("folded weights carry their spec") {
  WeightsFile weights;
  weights.add_folded("mid.");
  const Opened opened(weights);
  const Request requests[] = {
      {.groups = 0},
      {.norm = Norm::kGroup, .groups = 2, .eps = 1e-6, .heads = 1, .residual = true, .rescale_output = 1}};
  for (const Request& request : requests) {
    BlockWeights block;
    REQUIRE(std::string(request.load(opened.file, block).message()) == "");
    CHECK(block.style == "edgeattn-folded");
    CHECK(block.spec == Spec{.channels = kChannels, .norm = Norm::kGroup, .groups = 2, .eps = 1e-6});
    CHECK(block.score_weight == counting(3000, kChannels * kChannels));
    CHECK(block.score_bias == counting(4000, kChannels));
    CHECK(block.out_weight == counting(5000, kChannels * kChannels));
    CHECK(block.out_bias == counting(6000, kChannels));
    CHECK(block.view().score_weight == block.score_weight.data());
    CHECK(block.view().score_bias == block.score_bias.data());
    CHECK(block.view().qkv_weight == nullptr);
  }
  std::vector<io::BlockEntry> blocks;
  REQUIRE(io::find_blocks(opened.file, blocks).ok());
  REQUIRE(blocks.size() == 1);
  CHECK(blocks[0].prefix == "mid.");
  CHECK(blocks[0].style == "edgeattn-folded");
  CHECK(blocks[0].channels == kChannels);
  CHECK(blocks[0].default_eps == 1e-6);
}

TEST_CASE("folded weights come back from a file as they were, whatever the spec") {
  const TempDirectory folder;
  const std::string path = folder / "folded";
  const Spec specs[] = {{.channels = 8, .groups = 4, .eps = 0.1 + 0.2, .scale = 1.0 / 3},
                        {.channels = 5, .norm = Norm::kInstance, .residual = false, .rescale_output = std::numbers::sqrt2},
                        {.channels = 7, .norm = Norm::kBatch, .eps = 1e-300},
                        {.channels = 1, .norm = Norm::kNone}};
  for (const Spec& spec : specs) {
    CAPTURE(spec.channels);
    BlockWeights weights, folded, read;
    REQUIRE(io::random_block(spec, seed(), weights).ok());
    weights.prefix = "a.";
    REQUIRE(io::fold_block(weights, detect_machine(), folded).ok());
    REQUIRE(std::string(io::write_folded(path, folded).message()) == "");
    SafetensorsFile file;
    REQUIRE(std::string(SafetensorsFile::open(path, file).message()) == "");
    REQUIRE(std::string(Request{.groups = 0}.load(file, read).message()) == "");
    CHECK(read.prefix == "a.");
    CHECK(read.style == "edgeattn-folded");
    CHECK((read.spec.norm == Norm::kGroup || read.spec.groups == 32));
    read.spec.groups = spec.groups;
    CHECK(read.spec == spec);
    CHECK(read.score_weight == folded.score_weight);
    CHECK(read.score_bias == folded.score_bias);
    CHECK(read.out_weight == folded.out_weight);
    CHECK(read.out_bias == folded.out_bias);
    CHECK(read.norm_weight == weights.norm_weight);
    CHECK(read.norm_bias == weights.norm_bias);
    CHECK(read.running_mean == weights.running_mean);
    CHECK(read.running_var == weights.running_var);
  }
}

/// Σ_k left(k)·right(k), times a factor, plus something, and how far a chain of float64 and one rounding may take a result from it.
struct Exact {
  long double value = 0;
  long double magnitude = 0;

  void add(float left, float right) {
    const long double product = static_cast<long double>(left) * static_cast<long double>(right);
    value += product;
    magnitude += std::abs(product);
  }
  bool admits(float result, std::size_t terms, long double factor = 1, float outer = 0) const {
    const long double exact = factor * value + static_cast<long double>(outer);
    const long double chain = static_cast<long double>(terms + 3) * (factor * magnitude + std::abs(static_cast<long double>(outer)));
    return std::abs(static_cast<long double>(result) - exact) <= std::ldexp(std::abs(exact), -24) + std::ldexp(chain, -53);
  }
};

TEST_CASE("folded weights are sums in float64, rounded once, on any number of threads") {
  // Tails of every tile: fewer rows and columns than one has, as many, and more.
  for (const std::size_t c : {1u, 5u, 24u, 64u, 65u, 97u}) {
    CAPTURE(c);
    BlockWeights weights, folded;
    REQUIRE(io::random_block({.channels = c, .norm = Norm::kNone}, seed() + c, weights).ok());
    REQUIRE_OK(io::fold_block(weights, detect_machine(), folded));
    const float* const q = weights.qkv_weight.data();
    const float* const k = q + c * c;
    const float* const v = k + c * c;
    const float* const out = weights.out_weight.data();
    const long double factor = std::numbers::log2e_v<long double> / std::sqrt(static_cast<long double>(c));
    std::size_t wrong = 0;
    for (std::size_t o = 0; o < c; ++o) {
      for (std::size_t i = 0; i < c; ++i) {
        Exact score, mixed;
        for (std::size_t t = 0; t < c; ++t) {
          score.add(k[t * c + o], q[t * c + i]);
          mixed.add(out[o * c + t], v[t * c + i]);
        }
        wrong += !score.admits(folded.score_weight[o * c + i], c, factor) + !mixed.admits(folded.out_weight[o * c + i], c);
      }
      Exact score, mixed;
      for (std::size_t t = 0; t < c; ++t) {
        score.add(k[t * c + o], weights.qkv_bias[t]);
        mixed.add(out[o * c + t], weights.qkv_bias[2 * c + t]);
      }
      wrong += !score.admits(folded.score_bias[o], c, factor) + !mixed.admits(folded.out_bias[o], c, 1, weights.out_bias[o]);
    }
    CHECK(wrong == 0);
    for (const std::size_t threads : {2u, 3u, 8u}) {
      CAPTURE(threads);
      const Pool pool = make_pool(threads);
      BlockWeights pooled;
      REQUIRE_OK(io::fold_block(weights, detect_machine(), pooled, pool.get()));
      CHECK(same_bits(pooled.score_weight, folded.score_weight));
      CHECK(same_bits(pooled.score_bias, folded.score_bias));
      CHECK(same_bits(pooled.out_weight, folded.out_weight));
      CHECK(same_bits(pooled.out_bias, folded.out_bias));
    }
  }
}

TEST_CASE("an overflow is found by whichever thread meets it") {
  constexpr std::size_t kChannels = 97;
  BlockWeights weights, folded;
  REQUIRE(io::random_block({.channels = kChannels, .norm = Norm::kNone}, seed(), weights).ok());
  const Pool pool = make_pool(3);
  for (const std::size_t at : {std::size_t{0}, kChannels * kChannels / 2, kChannels * kChannels - 1}) {
    CAPTURE(at);
    BlockWeights large = weights;
    large.out_weight[at] = 3e38f;
    large.qkv_weight[2 * kChannels * kChannels + at % kChannels * kChannels] = 3e38f;
    for (const pthreadpool_t on : {pool.get(), pthreadpool_t{nullptr}})
      CHECK_FAILS(io::fold_block(large, detect_machine(), folded, on), StatusCode::kInvalidArgument, "to_out.weight overflows float32");
  }
}

TEST_CASE("folded weights that say too little, or something else than the request") {
  struct Row {
    std::string metadata;
    Request request;
    StatusCode code;
    const char* message;
  };
  const auto with = [](const std::string& from, const std::string& to) {
    std::string metadata = kFoldedMetadata;
    return metadata.replace(metadata.find(from), from.size(), to);
  };
  const StatusCode kFormat = StatusCode::kFormat;
  const StatusCode kInvalid = StatusCode::kInvalidArgument;
  const Row rows[] = {
      {"", {}, kFormat, "f: __metadata__: format: expected edgeattn-folded for folded weights, given nothing"},
      {with("edgeattn-folded", "pt"), {}, kFormat, "format: expected edgeattn-folded for folded weights, given 'pt'"},
      {with("\"1\"", "\"2\""), {}, kFormat, "version: expected 1 for folded weights, given '2'"},
      {with("\"gn\"", "\"ln\""), {}, kFormat, "norm: expected gn, in, bn or none for folded weights, given 'ln'"},
      {with("\"gn\"", "\"g\\n\""), {}, kFormat, "given 'g?'"},
      {with(R"(,"groups":"2")", ""), {}, kFormat, "groups: expected a whole number for folded weights, given nothing"},
      {with("\"2\"", "\"2x\""), {}, kFormat, "groups: expected a whole number for folded weights, given '2x'"},
      {with("\"2\"", "\"3\""), {.groups = 0}, kInvalid, "groups: expected a divisor of the 4 channels, given 3"},
      {with(R"(,"eps":"1e-06")", ""), {}, kFormat, "eps: expected a number above 0 for folded weights, given nothing"},
      {with("1e-06", "-1"), {}, kFormat, "eps: expected a number above 0 for folded weights, given '-1'"},
      {with("1e-06", "nan"), {}, kFormat, "eps"},
      {with("1e-06", "1e-06\",\"scale\":\"0"), {}, kFormat, "scale: expected a number above 0"},
      {with("1e-06", "1e-06\",\"residual\":\"no"), {}, kFormat, "residual: expected true or false"},
      {kFoldedMetadata, {.norm = Norm::kInstance}, kInvalid, "f: norm: the weights were folded for 'gn', given 'in'"},
      {kFoldedMetadata, {.groups = 4}, kInvalid, "f: groups: the weights were folded for 2, given 4"},
      {with("1e-06", "1e-06\",\"rescale_output\":\"-1"), {}, kFormat, "rescale_output: expected a number above 0"},
      {kFoldedMetadata, {.heads = 2}, kInvalid, "f: heads: the weights were folded for 1, given 2"},
      {kFoldedMetadata, {.residual = false}, kInvalid, "residual: the weights were folded for true, given false"},
      {kFoldedMetadata, {.rescale_output = 2}, kInvalid, "rescale_output: the weights were folded for 1, given 2"},
      {kFoldedMetadata, {.heads = 1, .qkv_order = io::QkvOrder::kNew}, kInvalid, "qkv_order: style edgeattn-folded has but one"},
      {kFoldedMetadata, {.eps = 1e-5}, kInvalid, "f: eps: the weights were folded for 1e-06, given 1e-05"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.metadata);
    WeightsFile weights;
    weights.add_folded("a.", row.metadata);
    const Opened opened(weights);
    BlockWeights block;
    const Status status = row.request.load(opened.file, block);
    const std::string message = status.message();
    CAPTURE(message);
    CHECK(status.code() == row.code);
    CHECK(message.find(row.message) != std::string::npos);
    std::vector<io::BlockEntry> blocks;
    REQUIRE(io::find_blocks(opened.file, blocks).ok());
    CHECK(blocks.empty() == (row.code == kFormat));
  }
  for (const char* name : {"score.bias", "out.weight", "out.bias", "norm.weight"}) {
    CAPTURE(name);
    WeightsFile weights;
    weights.add_folded("");
    weights.remove(name);
    const Opened opened(weights);
    BlockWeights block;
    const std::string message = Request{}.load(opened.file, block).message();
    CHECK(message.find("tensor '" + std::string(name) + "': is missing") != std::string::npos);
  }
}
