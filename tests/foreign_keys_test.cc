#include <doctest/doctest.h>

#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "edgeattn/io.h"
#include "weights_file.h"

/// Norms by other names, what files do not tell, and keys that change what a block computes.
using namespace edgeattn;
using namespace edgeattn::test;
using io::BlockWeights;
using io::Untold;

namespace {

struct Style {
  const char* name;
  const StyleNames& names;
  double eps;         ///< this and heads: 0 where it needs not be told
  std::size_t heads;
  std::vector<std::string> norms;

  /// All that a file of this style needs to be told.
  [[nodiscard]] Request request() const { return {.eps = eps, .heads = heads}; }
};

const Style kStyles[] = {
    {"ddpm", kDdpm, 0, 0, {"norm", "group_norm", "gn", "norm1", "norm.0", "GroupNorm_0"}},
    {"diffusers", kDiffusers, 1e-6, 1, {"group_norm", "gn", "GroupNorm_0"}},
    {"diffusers-legacy", kDiffusersLegacy, 1e-6, 1, {"group_norm", "gn", "GroupNorm_0"}},
    {"compvis", kCompVis, 0, 0, {"norm", "group_norm", "gn", "GroupNorm_0"}},
    {"guided-diffusion", kGuidedDiffusion, 0, 1, {"norm", "group_norm", "gn", "GroupNorm_0"}},
};

/// A block whose norm is called `norm`.
WeightsFile block_with(const Style& style, const std::string& prefix, const std::string& norm) {
  StyleNames names = style.names;
  names.norm = norm;
  WeightsFile weights;
  weights.add_block(prefix, names, {});
  return weights;
}

std::string refusal(const WeightsFile& weights, const Request& request, StatusCode code = StatusCode::kUnsupported) {
  const Opened opened(weights);
  BlockWeights block;
  const Status status = request.load(opened.file, block);
  CHECK(status.code() == code);
  const std::string message = status.message();
  CHECK(message.size() < Status::kMessageBytes - 1);
  CHECK(message.find('\n') == std::string::npos);
  return message;
}

void check_says(const std::string& message, std::initializer_list<const char*> parts) {
  CAPTURE(message);
  for (const char* part : parts) {
    CAPTURE(std::string(part));
    CHECK(message.find(part) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("norms: found by every name of the style, as batch norm too") {
  for (const Style& style : kStyles) {
    for (const std::string& norm : style.norms) {
      CAPTURE(std::string(style.name) + ' ' + norm);
      WeightsFile weights = block_with(style, "a.b.", norm);
      const Opened group(weights);
      BlockWeights block;
      REQUIRE(std::string(style.request().load(group.file, block).message()) == "");
      CHECK(block.spec.norm == Norm::kGroup);
      check_values(block);
      weights.add("a.b." + norm + ".running_mean", {kChannels}, 7000);
      weights.add("a.b." + norm + ".running_var", {kChannels}, 8000);
      weights.add("a.b." + norm + ".num_batches_tracked", {});
      const Opened batch(weights);
      REQUIRE(std::string(style.request().load(batch.file, block).message()) == "");
      CHECK(block.spec.norm == Norm::kBatch);
      CHECK(block.running_mean == counting(7000, kChannels));
      CHECK(block.running_var == counting(8000, kChannels));
      check_values(block);
    }
  }
}

TEST_CASE("norms: half of one, one that does not fit, and two at once are errors that name them") {
  for (const Style& style : kStyles) {
    for (const std::string& norm : style.norms) {
      CAPTURE(std::string(style.name) + ' ' + norm);
      const WeightsFile whole = block_with(style, "a.", norm);
      WeightsFile weights = whole;
      weights.remove("a." + norm + ".bias");
      check_says(refusal(weights, style.request(), StatusCode::kNotFound), {("'a." + norm + ".bias': is missing").c_str()});
      weights = whole;
      weights.remove("a." + norm + ".weight");
      check_says(refusal(weights, style.request(), StatusCode::kNotFound), {("'a." + norm + ".weight': is missing").c_str()});
      weights = whole;
      weights.add("a." + norm + ".weight", {kChannels + 1});
      check_says(refusal(weights, style.request(), StatusCode::kFormat),
                 {("'a." + norm + ".weight': expected shape [4]").c_str()});
      weights = whole;
      weights.add("a." + norm + ".weight", {1, kChannels, 1, 1});
      check_says(refusal(weights, style.request(), StatusCode::kFormat), {"given [1, 4, 1, 1]"});
      for (const std::string& other : style.norms) {
        if (other == norm) continue;
        weights = whole;
        weights.add("a." + other + ".bias", {kChannels});
        check_says(refusal(weights, style.request()),
                   {"expected one norm", ("'a." + other + ".bias'").c_str(), ("'a." + norm + '.').c_str()});
        Request none = style.request();
        none.norm = Norm::kNone;
        check_says(refusal(weights, none), {"expected one norm"});
      }
    }
  }
}

TEST_CASE("norms: what stands beside the projections instead is named, even where none is asked for") {
  const char* const names[] = {"instance_norm", "norm2",      "layer_norm", "ln",       "bn1",
                               "normalize",     "prenorm.fn", "pre",        "norm.1.0", "Norm_0"};
  for (const Style& style : kStyles) {
    for (const std::string name : names) {
      CAPTURE(std::string(style.name) + ' ' + name);
      const WeightsFile weights = block_with(style, "a.", name);
      Request request = style.request();
      check_says(refusal(weights, request), {("'a." + name).c_str(), "expected no such tensor in a block"});
      request.norm = Norm::kNone;
      check_says(refusal(weights, request), {("'a." + name).c_str()});
      std::vector<io::BlockEntry> blocks;
      REQUIRE(io::find_blocks(Opened(weights).file, blocks).ok());
      CHECK(blocks.empty());
    }
  }
  // `norm` is a LayerNorm as often as a GroupNorm where projections have these names.
  check_says(refusal(block_with(kStyles[1], "a.", "norm"), kStyles[1].request()),
             {"'a.norm.bias'", "call it group_norm, gn or GroupNorm_0"});
  WeightsFile gamma = block_with(kStyles[0], "a.", "x");
  gamma.remove("a.x.weight");
  gamma.remove("a.x.bias");
  gamma.add("a.norm.gamma", {kChannels});
  gamma.add("a.norm.beta", {kChannels});
  check_says(refusal(gamma, {}), {"'a.norm.beta'", "a norm of another kind, or of other names"});
}

TEST_CASE("norms: one above the block is named, and the block runs without where none is asked for") {
  struct Row {
    const char* prefix;
    const char* norm;  ///< the whole key
    Sizes shape;
  };
  const Row rows[] = {{"mid.attn.", "mid.norm.weight", {kChannels}},
                      {"mid.1.", "mid.0.weight", {kChannels}},
                      {"attn.", "norm1.weight", {kChannels}},
                      {"a.b.attn.", "a.b.norm.g", {1, kChannels, 1, 1}},
                      {"a.b.attn.", "a.b.norm.0.weight", {kChannels}},
                      {"a.b.attn.", "a.b.prenorm.gamma", {kChannels}}};
  for (const Row& row : rows) {
    for (const Style& style : kStyles) {
      CAPTURE(std::string(style.name) + ' ' + row.norm);
      WeightsFile weights = block_with(style, row.prefix, "x");
      for (const char* key : {"x.weight", "x.bias"}) weights.remove(std::string(row.prefix) + key);
      weights.add(row.norm, row.shape);
      weights.add("other.weight", {kChannels + 1});
      const std::string quoted = '\'' + std::string(row.norm) + '\'';
      Request request = style.request();
      request.prefix = row.prefix;
      check_says(refusal(weights, request, StatusCode::kNotFound),
                 {"is missing, expected shape [4]", quoted.c_str(), "--norm none"});
      request.norm = Norm::kNone;
      request.eps = 0;
      BlockWeights block;
      const Opened opened(weights);
      CHECK(std::string(request.load(opened.file, block).message()) == "");
    }
  }
  // A wrapper of lucidrains' may hold linear attention, so that not even asking helps.
  WeightsFile wrapped;
  wrapped.add("a.norm.g", {1, kChannels, 1, 1});
  wrapped.add("a.fn.to_qkv.weight", {3 * kChannels, kChannels, 1, 1});
  wrapped.add("a.fn.to_out.weight", {kChannels, kChannels, 1, 1});
  check_says(refusal(wrapped, {.prefix = "a.fn."}), {"'a.fn.to_qkv.weight'", "whose norm is outside of it: 'a.norm.g'"});
}

TEST_CASE("untold: what neither file nor request tells is assumed and reported, or asked for") {
  constexpr std::size_t kWide = 64;
  for (const Style& style : kStyles) {
    CAPTURE(std::string(style.name));
    WeightsFile weights;
    weights.add_block("", style.names, {}, kWide);
    const Opened opened(weights);
    const bool diffusers = std::string(style.name).starts_with("diffusers");
    const auto assumed = [&](Request request) {
      BlockWeights block;
      REQUIRE(std::string(request.load(opened.file, block).message()) == "");
      return block.assumed;
    };
    Request request = style.request();
    request.groups = 0;
    const std::uint32_t rescale = diffusers ? Untold::kRescaleOutput : 0;
    const std::uint32_t eps = request.eps == 0 ? Untold::kEps : 0, heads = request.heads == 0 ? Untold::kHeads : 0;
    CHECK(assumed(request) == (Untold::kGroups | rescale | eps | heads));
    std::vector<io::BlockEntry> blocks;
    REQUIRE(io::find_blocks(opened.file, blocks).ok());
    REQUIRE(blocks.size() == 1);
    CHECK(blocks[0].assumed == assumed(request));
    CHECK(blocks[0].needed == ((eps == 0 ? Untold::kEps : 0) | (heads == 0 ? Untold::kHeads : 0)));
    request.groups = 16;
    CHECK(assumed(request) == (rescale | eps | heads));
    request.heads = 1;
    CHECK(assumed(request) == (rescale | eps));
    request.eps = 1e-5;
    CHECK(assumed(request) == rescale);
    request.rescale_output = 1;
    CHECK(assumed(request) == 0);
    request.groups = 0;
    request.norm = Norm::kInstance;
    CHECK(assumed(request) == 0);
  }
}

TEST_CASE("untold: where 32 groups do not divide the channels they are asked for") {
  for (const std::size_t channels : {24u, 48u, 33u, 4u}) {
    for (const Style& style : kStyles) {
      CAPTURE(std::string(style.name));
      WeightsFile weights;
      weights.add_block("", style.names, {}, channels);
      Request request = style.request();
      request.groups = 0;
      check_says(refusal(weights, request, StatusCode::kInvalidArgument),
                 {"groups: expected how many", style.name, (std::to_string(channels) + " channels").c_str(), "--groups"});
      request.groups = channels;
      BlockWeights block;
      const Opened opened(weights);
      CHECK(std::string(request.load(opened.file, block).message()) == "");
      request.groups = 0;
      request.norm = Norm::kInstance;
      CHECK(std::string(request.load(opened.file, block).message()) == "");
    }
  }
}

TEST_CASE("untold: folded weights tell all, their scale too") {
  WeightsFile weights;
  weights.add_folded("");
  const Opened opened(weights);
  BlockWeights block;
  REQUIRE(std::string(Request{.groups = 0}.load(opened.file, block).message()) == "");
  CHECK(block.assumed == 0);
  REQUIRE(std::string(Request{.groups = 0, .scale = 0.5}.load(opened.file, block).message()) == "");
  CHECK(block.spec.scale == 0);
  check_says(refusal(weights, {.groups = 0, .scale = 0.25}, StatusCode::kInvalidArgument),
             {"scale: the weights were folded for 0.5, given 0.25"});
  std::vector<io::BlockEntry> blocks;
  REQUIRE(io::find_blocks(opened.file, blocks).ok());
  REQUIRE(blocks.size() == 1);
  CHECK((blocks[0].assumed | blocks[0].needed) == 0);
}

TEST_CASE("untold: a scale of the scores is the one that was asked for") {
  for (const Style& style : kStyles) {
    const WeightsFile weights = block_with(style, "", style.norms[0]);
    const Opened opened(weights);
    Request request = style.request();
    BlockWeights block;
    for (const double scale : {1.0, 0.125, 0.0}) {
      request.scale = scale;
      REQUIRE(request.load(opened.file, block).ok());
      CHECK(block.spec.scale == scale);
    }
    for (const double scale : {-1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
      request.scale = scale;
      check_says(refusal(weights, request, StatusCode::kInvalidArgument), {"scale: expected a finite number above 0"});
    }
  }
}

namespace {

struct Kind {
  const char* says;
  std::vector<std::string> keys;  ///< `Q` stands for a projection, `O` for the output, `N` for the norm
};
const Kind kKinds[] = {
    {"a LoRA that is not merged",
     {"Q.lora_B.default.weight", "Q.lora_up.weight", "Q.lora.down.weight", "O.lora_layer.up.weight", "to_q_lora.down.weight",
      "processor.to_out_lora.up.weight", "Q.lora_magnitude_vector.default.weight", "Q.base_layer.bias", "Q.alpha", "O.dora_scale",
      "Q.hada_w1_a", "Q.lokr_w2_b", "Q.oft_blocks", "Q.diff_b", "qkv_lora.linear_a.weight"}},
    {"an IP-Adapter",
     {"to_v_ip.weight", "to_k_ip.0.weight", "processor.to_k_ip.weight", "to_k_custom_diffusion.weight", "ip_adapter.gate"}},
    {"a factor of the attention's output",
     {"layer_scale.gamma", "ls1.gamma", "ls", "gamma_1", "layer_scale_1", "lambda1", "skip_scale"}},
    {"depends on positions",
     {"rel_pos_h", "rel_pos_w", "rel_pos_bias.relative_attention_bias.weight", "relative_position_index", "rpb", "rel_height",
      "relative_attention_bias.weight", "cpb_mlp.0.weight", "rotary_emb.inv_freq", "pos_emb", "rope.freqs",
      "attention_bias_idxs"}},
    {"a learnt factor of the scores", {"scale", "logit_scale", "tau", "temperature", "attn.temperature"}},
    {"a norm of its queries", {"norm_q.bias", "q_norm.weight", "ln_q.weight", "query_norm.scale"}},
    {"a norm of its keys", {"norm_k.weight", "k_norm.weight", "norm_k.bias"}},
    {"a weight that is quantised",
     {"Q.weight_scale",
      "O.weight_scale_2",
      "Q.input_scale",
      "Q.scale_input",
      "Q.weight.absmax",
      "Q.weight.quant_map",
      "Q.weight.quant_state.bitsandbytes__nf4",
      "O.weight.nested_absmax",
      "Q.SCB",
      "Q.weight_format",
      "Q.comfy_quant",
      "Q.scales",
      "Q.qzeros",
      "Q.qweight",
      "Q.g_idx",
      "O.zero_point",
      "Q.scale",
      "Q.weight._scale",
      "Q.weight_fake_quant.scale",
      "O.activation_post_process.scale",
      "Q.weight_scale_inv"}},
    {"a weight norm or spectral norm",
     {"Q.weight_orig", "Q.weight_u", "Q.weight_v", "O.weight_g", "Q.parametrizations.weight.original0",
      "O.parametrizations.weight.0._u", "Q.weight_mask"}},
    {"attention to a text",
     {"add_q_proj.weight", "add_v_proj.bias", "to_add_out.weight", "norm_cross.weight", "encoder_kv.bias"}},
    {"attention with a mask", {"mask", "attn_mask"}},
    {"a norm of another kind", {"N.gamma", "N.beta", "N.g", "N.scale", "N.norm.weight"}},
    {"whose output may depend on it",
     {"extra", "conv.weight", "Q.foo", "O.1.weight", "O.weight.weight", "mlp.0.weight", "Q.weight2", "skip.weight",
      "dropout.weight"}},
};

}  // namespace

TEST_CASE("keys that change the result are named, with the way out") {
  for (const Style& style : kStyles) {
    for (const Kind& kind : kKinds) {
      for (std::string key : kind.keys) {
        const auto stand_for = [&](char letter, const std::string& name) {
          if (key.starts_with(std::string{letter, '.'})) key.replace(0, 1, name);
        };
        stand_for('Q', style.names.projections.back());
        stand_for('O', style.names.out);
        stand_for('N', style.names.norm);
        CAPTURE(std::string(style.name) + ' ' + key);
        const bool lucidrains = style.name == std::string("ddpm") && (key.starts_with("to_out.1.") || key == "norm.g");
        for (const std::string prefix : {"", "down.0.attn."}) {
          WeightsFile weights = block_with(style, prefix, style.norms[0]);
          weights.add(prefix + key, {1});
          Request request = style.request();
          request.prefix = prefix;
          check_says(refusal(weights, request), {("'" + prefix + key + "'").c_str(), lucidrains ? "lucidrains'" : kind.says});
          request.prefix = {};
          refusal(weights, request);
          std::vector<io::BlockEntry> blocks;
          REQUIRE(io::find_blocks(Opened(weights).file, blocks).ok());
          CHECK(blocks.empty());
        }
      }
    }
  }
}

TEST_CASE("keys that change nothing, and those of neighbours, are let be") {
  for (const Style& style : kStyles) {
    CAPTURE(std::string(style.name));
    WeightsFile weights = block_with(style, "a.attn.", style.norms[0]);
    for (const std::string key :
         {"total_ops", "total_params", "dropout.seed_generator.seed_generator_state", "attn_drop.p", "proj_drop.total_ops"})
      weights.add("a.attn." + key, {});
    for (const std::string& key : {style.names.norm, style.names.out, style.names.projections[0]})
      weights.add("a.attn." + key + ".total_ops", {});
    weights.add("a.attn." + style.norms[0] + ".num_batches_tracked", {});
    for (const char* key : {"a.norm.weight", "a.attn2.gamma", "a.attnlora_A", "a.scale", "b.attn.lora_A", "attn.gamma", "x"})
      weights.add(key, {kChannels});
    const Opened opened(weights);
    BlockWeights block;
    REQUIRE(std::string(style.request().load(opened.file, block).message()) == "");
    check_values(block);
  }
}

TEST_CASE("keys of projections in another form are named where no weight is left") {
  struct Row {
    const char* ending;
    const char* says;
  };
  const Row rows[] = {{"base_layer.weight", "a LoRA that is not merged"},
                      {"parametrizations.weight.original1", "a weight norm or spectral norm"},
                      {"weight_orig", "a weight norm or spectral norm"},
                      {"qweight", "a weight that is quantised"},
                      {"_packed_params._packed_params", "a weight that is quantised"}};
  for (const Style& style : kStyles) {
    for (const Row& row : rows) {
      CAPTURE(std::string(style.name) + ' ' + row.ending);
      WeightsFile weights = block_with(style, "a.", style.norms[0]);
      for (const std::string& projection : style.names.projections) {
        weights.remove("a." + projection + ".weight");
        weights.add("a." + projection + '.' + row.ending, {4, 4});
      }
      for (const auto& prefix : {std::optional<std::string>(), std::optional<std::string>("a.")}) {
        Request request = style.request();
        request.prefix = prefix;
        check_says(refusal(weights, request), {("'a." + style.names.projections[0] + '.' + row.ending + "'").c_str(), row.says});
      }
    }
  }
}
