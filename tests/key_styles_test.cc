#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "edgeattn/io.h"
#include "weights_file.h"

/// Blocks of every key style, and what looks like one.
using namespace edgeattn;
using namespace edgeattn::test;
using io::BlockWeights;
using io::QkvOrder;

namespace {

struct Style {
  const char* name;
  const StyleNames& names;
  double eps;  ///< the default, 0 for none
  bool any_heads;

  /// All that a file of this style needs to be told.
  [[nodiscard]] Request request() const { return {.eps = eps == 0 ? 1e-6 : 0, .heads = any_heads ? 1u : 0u}; }
};

const Style kStyles[] = {{"ddpm", kDdpm, 1e-5, false},
                         {"diffusers", kDiffusers, 0, true},
                         {"diffusers-legacy", kDiffusersLegacy, 0, true},
                         {"compvis", kCompVis, 1e-6, false},
                         {"guided-diffusion", kGuidedDiffusion, 1e-5, true}};

void check_refused(const Opened& opened, const Request& request, StatusCode code, const char* message) {
  BlockWeights block;
  const Status status = request.load(opened.file, block);
  CAPTURE(std::string(message));
  CAPTURE(std::string(status.message()));
  CHECK(status.code() == code);
  CHECK(std::string(status.message()).find(message) != std::string::npos);
}

}  // namespace

TEST_CASE("key styles: weights arrive where they belong, whatever the rank") {
  for (const Style& style : kStyles) {
    for (const Sizes& ones : {Sizes{}, Sizes{1}, Sizes{1, 1}}) {
      CAPTURE(std::string(style.name));
      CAPTURE(ones.size());
      WeightsFile weights;
      weights.add_block("mid.1.", style.names, ones);
      const Opened opened(weights);
      std::vector<io::BlockEntry> blocks;
      REQUIRE(io::find_blocks(opened.file, blocks).ok());
      REQUIRE(blocks.size() == 1);
      CHECK(blocks[0].prefix == "mid.1.");
      CHECK(blocks[0].style == style.name);
      CHECK(blocks[0].channels == kChannels);
      CHECK(blocks[0].norm == Norm::kGroup);
      CHECK(blocks[0].default_eps == style.eps);
      CHECK(blocks[0].any_heads == style.any_heads);

      BlockWeights block;
      REQUIRE(std::string(style.request().load(opened.file, block).message()) == "");
      CHECK(block.style == style.name);
      CHECK(block.spec == Spec{.channels = kChannels, .groups = 2, .eps = style.eps == 0 ? 1e-6 : style.eps});
      check_values(block);
    }
  }
}

TEST_CASE("key styles: a projection's missing bias is zero, and leaves the others alone") {
  for (const Style& style : kStyles) {
    CAPTURE(std::string(style.name));
    const std::vector<std::string>& projections = style.names.projections;
    for (std::size_t missing = 0; missing < projections.size(); ++missing) {
      CAPTURE(missing);
      WeightsFile weights;
      weights.add_block("", style.names, {});
      weights.remove(projections[missing] + ".bias");
      weights.remove(style.names.out + ".bias");
      const Opened opened(weights);
      BlockWeights block;
      REQUIRE(std::string(style.request().load(opened.file, block).message()) == "");
      CHECK(block.out_bias.empty());
      if (projections.size() == 1) {
        CHECK(block.qkv_bias.empty());
        continue;
      }
      std::vector<float> expected = counting(4000, 3 * kChannels);
      for (std::size_t i = 0; i < kChannels; ++i) expected[missing * kChannels + i] = 0;
      CHECK(block.qkv_bias == expected);
    }
  }
}

TEST_CASE("key styles: rows come out as q, k, v, whatever the order of several heads") {
  const std::size_t legacy_rows[] = {0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11};  // of two heads with two rows each
  for (const QkvOrder order : {QkvOrder::kNew, QkvOrder::kLegacy}) {
    CAPTURE(std::string(to_string(order)));
    WeightsFile weights;
    weights.add_block("", kGuidedDiffusion, {1});
    const Opened opened(weights);
    BlockWeights block;
    REQUIRE(std::string(Request{.heads = 2, .qkv_order = order}.load(opened.file, block).message()) == "");
    CHECK(block.spec.heads == 2);
    REQUIRE(block.qkv_weight.size() == 3 * kChannels * kChannels);
    REQUIRE(block.qkv_bias.size() == 3 * kChannels);
    for (std::size_t row = 0; row < 3 * kChannels; ++row) {
      const std::size_t from = order == QkvOrder::kNew ? row : legacy_rows[row];
      CHECK(block.qkv_bias[row] == static_cast<float>(4000 + from));
      for (std::size_t i = 0; i < kChannels; ++i)
        CHECK(block.qkv_weight[row * kChannels + i] == static_cast<float>(3000 + from * kChannels + i));
    }
    weights.remove("qkv.bias");
    const Opened without_bias(weights);
    REQUIRE(Request{.heads = 2, .qkv_order = order}.load(without_bias.file, block).ok());
    CHECK(block.qkv_bias.empty());
  }
}

TEST_CASE("key styles: one head needs no order; heads, residual and rescale_output end up in the spec") {
  WeightsFile weights;
  weights.add_block("a.", kDiffusers, {});
  weights.add_block("b.", kGuidedDiffusion, {1});
  const Opened opened(weights);
  BlockWeights block;
  const Request diffusers{.prefix = "a.", .eps = 1e-5, .heads = 4, .residual = false, .rescale_output = 1.5};
  REQUIRE(std::string(diffusers.load(opened.file, block).message()) == "");
  CHECK(block.spec == Spec{.channels = 4, .groups = 2, .heads = 4, .residual = false, .rescale_output = 1.5});
  for (const QkvOrder order : {QkvOrder::kUnsaid, QkvOrder::kNew, QkvOrder::kLegacy}) {
    REQUIRE(Request{.prefix = "b.", .heads = 1, .qkv_order = order}.load(opened.file, block).ok());
    CHECK(block.qkv_weight == counting(3000, 3 * kChannels * kChannels));
  }
}

TEST_CASE("key styles: what the file cannot tell is asked for") {
  struct Row {
    const StyleNames& names;
    Request request;
    const char* message;
  };
  const Row rows[] = {
      {kDiffusers, {.heads = 1}, "f: eps: expected a number above 0, because style diffusers has two"},
      {kDiffusersLegacy, {.heads = 1}, "f: eps: expected a number above 0, because style diffusers-legacy has two"},
      {kDiffusers, {.eps = 1e-6}, "f: heads: expected how many, because files of style diffusers do not tell"},
      {kDiffusersLegacy, {.eps = 1e-6}, "f: heads: expected how many, because files of style diffusers-legacy"},
      {kGuidedDiffusion, {}, "f: heads: expected how many, because files of style guided-diffusion"},
      {kGuidedDiffusion, {.qkv_order = QkvOrder::kNew}, "f: heads: expected how many"},
      {kGuidedDiffusion, {.heads = 2}, "f: qkv_order: expected new or legacy, because files of style guided-diffusion"},
      {kGuidedDiffusion, {.heads = 3, .qkv_order = QkvOrder::kNew}, "f: heads: expected a divisor of the 4 channels"},
      {kGuidedDiffusion, {.heads = 8, .qkv_order = QkvOrder::kLegacy}, "f: heads: expected a divisor of the 4 channels"},
      {kDdpm, {.qkv_order = QkvOrder::kLegacy}, "f: qkv_order: style ddpm has but one, given legacy"},
      {kCompVis, {.qkv_order = QkvOrder::kNew}, "f: qkv_order: style compvis has but one, given new"},
      {kDiffusers, {.eps = 1e-6, .heads = 1, .qkv_order = QkvOrder::kNew}, "f: qkv_order: style diffusers has but one"},
  };
  for (const Row& row : rows) {
    WeightsFile weights;
    weights.add_block("", row.names, {});
    check_refused(Opened(weights), row.request, StatusCode::kInvalidArgument, row.message);
  }
}

TEST_CASE("key styles: without norm keys the norm is missing, unless none is asked for") {
  for (const Style& style : kStyles) {
    CAPTURE(std::string(style.name));
    WeightsFile weights;
    weights.add_block("", style.names, {});
    weights.remove(style.names.norm + ".weight");
    weights.remove(style.names.norm + ".bias");
    const Opened opened(weights);
    std::vector<io::BlockEntry> blocks;
    REQUIRE(io::find_blocks(opened.file, blocks).ok());
    CHECK(blocks.empty());
    Request request = style.request();
    const std::string missing = "f: tensor '" + style.names.norm + ".weight': is missing, expected shape [4]";
    check_refused(opened, request, StatusCode::kNotFound, missing.c_str());
    request.norm = Norm::kNone;
    request.eps = 0;
    BlockWeights block;
    REQUIRE(std::string(request.load(opened.file, block).message()) == "");
    CHECK(block.spec.norm == Norm::kNone);
    CHECK((block.assumed & (io::Untold::kGroups | io::Untold::kEps)) == 0);
  }
}

TEST_CASE("key styles: what looks like a block and is none is named") {
  struct Row {
    std::function<void(WeightsFile&)> edit;
    Request request;
    const char* message;
  };
  const auto kernels = [](const StyleNames& names, const char* separator, const char* end) {
    return [=](WeightsFile& w) {
      const std::string at = std::string("mid") + separator;
      for (const std::string& projection : names.projections) w.add(at + projection + separator + end, {4, 4});
      w.add(at + names.out + separator + end, {4, 4});
    };
  };
  const auto beside = [](const StyleNames& names, const char* key) {
    return [=](WeightsFile& w) {
      w.add_block("a.", names, {});
      w.add(std::string("a.") + key, {4});
    };
  };
  const auto wrapped = [](WeightsFile& w) {
    w.add_ddpm("downs.0.fn.fn.");
    w.remove("downs.0.fn.fn.norm.weight");
    w.remove("downs.0.fn.fn.norm.bias");
  };
  const Row rows[] = {
      {kernels(kDiffusersLegacy, ".", "kernel"), {},
       "f: tensor 'mid.query.kernel': expected query.weight, [outputs, inputs], given a kernel of Flax or TensorFlow"},
      {kernels(kDiffusers, ".", "kernel"), {}, "f: tensor 'mid.to_q.kernel': expected to_q.weight"},
      {kernels(kDiffusers, ".", "kernel"), {.prefix = "mid."}, "f: tensor 'mid.to_q.kernel': expected to_q.weight"},
      {kernels(kDiffusers, "/", "kernel"), {}, "tensor 'mid/to_q/kernel': expected to_q.weight"},
      {kernels(kDiffusers, "/", "kernel"), {.prefix = "mid/"}, "tensor 'mid/to_q/kernel': expected to_q.weight"},
      {kernels(kCompVis, "/", "kernel:0"), {}, "tensor 'mid/q/kernel:0': expected q.weight"},
      {kernels(kDdpm, ".", "kernel"), {}, "tensor 'mid.to_qkv.kernel': expected to_qkv.weight"},
      {beside(kDdpm, "to_out.0.weight"), {}, "tensor 'a.to_out.0.weight': expected no such tensor in a block; this is "
                                             "lucidrains' LinearAttention"},
      {beside(kDdpm, "to_out.0.weight"), {.prefix = "a."}, "lucidrains' LinearAttention"},
      {beside(kDdpm, "norm.g"), {}, "tensor 'a.norm.g': expected no such tensor in a block; this is lucidrains' "},
      {beside(kDdpm, "mem_kv"), {}, "lucidrains' Attention or LinearAttention with keys and values of its own"},
      {wrapped, {}, "tensor 'downs.0.fn.fn.to_qkv.weight': expected no such tensor in a block; this is lucidrains' "},
      {wrapped, {.norm = Norm::kNone}, "lucidrains' Attention or LinearAttention, whose norm is outside of it"},
      {beside(kGuidedDiffusion, "encoder_kv.weight"), {.heads = 1}, "attention to a text beside the pixels"},
      {beside(kDiffusers, "add_k_proj.weight"), {.eps = 1, .heads = 1}, "attention to a text beside the pixels"},
      {beside(kDiffusers, "norm_q.weight"), {.eps = 1, .heads = 1}, "attention with a norm of its queries"},
      {beside(kDiffusers, "norm_k.weight"), {.eps = 1, .heads = 1}, "attention with a norm of its keys"},
      {beside(kDiffusers, "spatial_norm.norm_layer.weight"), {.eps = 1, .heads = 1}, "depends on the latents"},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.message));
    WeightsFile weights;
    row.edit(weights);
    const Opened opened(weights);
    check_refused(opened, row.request, StatusCode::kUnsupported, row.message);
    std::vector<io::BlockEntry> blocks;
    REQUIRE(io::find_blocks(opened.file, blocks).ok());
    CHECK(blocks.empty());
  }
}

TEST_CASE("key styles: prefixes that begin alike are different blocks, and each is listed once") {
  WeightsFile weights;
  weights.add_block("a.", kCompVis, {1, 1});
  weights.add_block("ab.", kGuidedDiffusion, {1});
  weights.add_block("c.a.", kDdpm, {});
  // Projections of two styles behind one prefix are a block of neither.
  weights.add_block("two.", kCompVis, {});
  weights.add("two.qkv.weight", {12, 4});
  const Opened opened(weights);
  std::vector<io::BlockEntry> blocks;
  REQUIRE(io::find_blocks(opened.file, blocks).ok());
  REQUIRE(blocks.size() == 3);
  CHECK(blocks[0].prefix == "a.");
  CHECK(blocks[1].prefix == "ab.");
  CHECK(blocks[2].prefix == "c.a.");
  check_refused(opened, {.prefix = "two."}, StatusCode::kUnsupported,
                "'two.qkv.weight': expected no such tensor in a block of style "
                "compvis; this is a projection of style guided-diffusion");
}

TEST_CASE("key styles: a block is found beside kernels and modules that are none") {
  WeightsFile weights;
  weights.add_block("attn.", kCompVis, {1, 1});
  weights.add("flax.query.kernel", {4, 4});
  weights.add("linear.to_qkv.weight", {12, 4, 1, 1});
  weights.add("linear.to_out.0.weight", {4, 4, 1, 1});
  for (const char* name : {"to_q", "to_k", "to_v", "to_out.0"})
    weights.add("transformer.attn1." + std::string(name) + ".weight", {4, 4});
  const Opened opened(weights);
  BlockWeights block;
  REQUIRE(std::string(Request{}.load(opened.file, block).message()) == "");
  CHECK(block.prefix == "attn.");
}
