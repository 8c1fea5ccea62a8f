#include "foreign_keys.h"

#include <algorithm>

#include "after_last.h"

namespace edgeattn::io {
namespace {

constexpr const char* kLora =
    "a LoRA that is not merged: add scale * up * down to the weight first (diffusers: fuse_lora, PEFT: merge_and_unload)";
constexpr const char* kIpAdapter =
    "an IP-Adapter or the like, which attends to more than the pixels: take the weights of the model without it";
constexpr const char* kLayerScale =
    "a factor of the attention's output: multiply the rows and the bias of the output projection by it, and leave it out";
constexpr const char* kPositions = "attention that depends on positions, which edgeattn does not compute";
constexpr const char* kTemperature =
    "a learnt factor of the scores: multiply the rows of q by it, or say --scale, and leave it out";
constexpr const char* kQueryNorm = "attention with a norm of its queries, which edgeattn does not compute";
constexpr const char* kKeyNorm = "attention with a norm of its keys, which edgeattn does not compute";
constexpr const char* kQuantised = "a weight that is quantised: multiply it by its scales first, and store F16, BF16 or F32";
constexpr const char* kReparametrised =
    "a weight norm or spectral norm: compute the weight first (torch.nn.utils: remove_weight_norm, remove_spectral_norm, "
    "parametrize)";
constexpr const char* kText = "attention to a text beside the pixels";
constexpr const char* kMask = "attention with a mask, which edgeattn does not compute";
constexpr const char* kOtherNorm = "a norm of another kind, or of other names: if it is the block's, call it weight and bias";
constexpr const char* kConvolution = "attention with convolutions in its projections, which edgeattn does not compute";

/// A pattern begins or ends with '*' where anything may stand. One with a dot is of the whole key, others of any part between
/// dots.
struct ForeignKey {
  const char* pattern;
  KeyPlace::Module module;
  const char* meaning;
  const char* style = nullptr;  ///< null: any
};
constexpr auto kAny = KeyPlace::kAny, kNone = KeyPlace::kNone, kNorm = KeyPlace::kNorm, kProjection = KeyPlace::kProjection;

// The first that fits counts.
constexpr ForeignKey kForeignKeys[] = {
    {"0.*", kProjection, "lucidrains' LinearAttention, which has no softmax over scores", "ddpm"},
    {"1.*", kProjection, "lucidrains' LinearAttention, which has no softmax over scores", "ddpm"},
    {"g", kNorm, "lucidrains' Attention or LinearAttention, which normalises over channels", "ddpm"},
    {"mem_kv", kNone, "lucidrains' Attention or LinearAttention with keys and values of its own"},
    {"spatial_norm", kNone, "attention with a norm that depends on the latents"},
    // LoRA, LyCORIS and the like, as PEFT, diffusers and kohya write them
    {"*lora*", kAny, kLora},
    {"*LoRA*", kAny, kLora},
    {"base_layer", kAny, kLora},
    {"hada_*", kAny, kLora},
    {"lokr_*", kAny, kLora},
    {"oft_*", kAny, kLora},
    {"boft_*", kAny, kLora},
    {"vera_*", kAny, kLora},
    {"dora_scale", kAny, kLora},
    {"*magnitude_vector*", kAny, kLora},
    {"alpha", kProjection, kLora},
    {"diff", kProjection, kLora},
    {"diff_b", kProjection, kLora},
    {"*_ip", kNone, kIpAdapter},
    {"ip_adapter*", kNone, kIpAdapter},
    {"*_custom_diffusion", kNone, kIpAdapter},
    {"processor", kNone, kIpAdapter},
    // bitsandbytes, ComfyUI, GPTQ and AWQ, quanto, torch.ao and others
    {"comfy_quant", kAny, kQuantised},
    {"*weight_scale*", kAny, kQuantised},
    {"scale_weight", kAny, kQuantised},
    {"scale_input", kAny, kQuantised},
    {"input_scale", kAny, kQuantised},
    {"output_scale", kAny, kQuantised},
    {"*absmax", kAny, kQuantised},
    {"*quant_map", kAny, kQuantised},
    {"*quant_state*", kAny, kQuantised},
    {"SCB", kAny, kQuantised},
    {"weight_format", kAny, kQuantised},
    {"qweight", kAny, kQuantised},
    {"*zero_point*", kAny, kQuantised},
    {"*zeros", kAny, kQuantised},
    {"*scales", kAny, kQuantised},
    {"g_idx", kAny, kQuantised},
    {"_scale", kAny, kQuantised},
    {"_shift", kAny, kQuantised},
    {"_packed_params*", kAny, kQuantised},
    {"scale", kProjection, kQuantised},
    {"*fake_quant*", kAny, kQuantised},
    {"*post_process*", kAny, kQuantised},
    {"*quantizer*", kAny, kQuantised},
    // of torch.nn.utils
    {"parametrizations", kAny, kReparametrised},
    {"weight_orig", kAny, kReparametrised},
    {"weight_g", kAny, kReparametrised},
    {"weight_v", kAny, kReparametrised},
    {"weight_u", kAny, kReparametrised},
    {"weight_mask", kAny, kReparametrised},
    {"original*", kAny, kReparametrised},
    // other attention
    {"encoder_*", kNone, kText},
    {"add_q_proj", kNone, kText},
    {"add_k_proj", kNone, kText},
    {"add_v_proj", kNone, kText},
    {"to_add_out", kNone, kText},
    {"norm_added_*", kNone, kText},
    {"norm_cross", kNone, kText},
    {"norm_q*", kNone, kQueryNorm},
    {"q_norm*", kNone, kQueryNorm},
    {"ln_q", kNone, kQueryNorm},
    {"q_ln", kNone, kQueryNorm},
    {"query_norm*", kNone, kQueryNorm},
    {"norm_k*", kNone, kKeyNorm},
    {"k_norm*", kNone, kKeyNorm},
    {"ln_k", kNone, kKeyNorm},
    {"k_ln", kNone, kKeyNorm},
    {"key_norm*", kNone, kKeyNorm},
    {"*dwconv*", kNone, kConvolution},
    {"*rel_pos*", kNone, kPositions},
    {"*relative*", kNone, kPositions},
    {"rpb*", kNone, kPositions},
    {"rel_*", kNone, kPositions},
    {"*bias_table*", kNone, kPositions},
    {"attention_bias*", kNone, kPositions},
    {"cpb_mlp", kNone, kPositions},
    {"pos_*", kNone, kPositions},
    {"*rope*", kNone, kPositions},
    {"*rotary*", kNone, kPositions},
    {"inv_freq", kNone, kPositions},
    {"freqs*", kNone, kPositions},
    {"*mask*", kNone, kMask},
    {"layer_scale*", kNone, kLayerScale},
    {"layerscale*", kNone, kLayerScale},
    {"gamma*", kNone, kLayerScale},
    {"ls", kNone, kLayerScale},
    {"ls1", kNone, kLayerScale},
    {"ls2", kNone, kLayerScale},
    {"lambda*", kNone, kLayerScale},
    {"skip_scale", kNone, kLayerScale},
    {"gate*", kNone, kLayerScale},
    {"*scale", kNone, kTemperature},
    {"*temperature", kNone, kTemperature},
    {"tau", kNone, kTemperature},
    {"*", kNorm, kOtherNorm},
};

bool fits(std::string_view pattern, std::string_view text) {
  const bool open_start = pattern.starts_with('*'), open_end = pattern.size() > 1 && pattern.ends_with('*');
  if (open_start) pattern.remove_prefix(1);
  if (open_end) pattern.remove_suffix(1);
  if (open_start && open_end) return text.find(pattern) != std::string_view::npos;
  if (open_start) return text.ends_with(pattern);
  return open_end ? text.starts_with(pattern) : text == pattern;
}

}  // namespace

bool fits_part(std::string_view pattern, std::string_view key) {
  for (;;) {
    const std::size_t dot = key.find('.');
    if (fits(pattern, key.substr(0, dot))) return true;
    if (dot == std::string_view::npos) return false;
    key.remove_prefix(dot + 1);
  }
}

KeyPlace key_place(const KeyStyle& style, std::string_view rest) {
  KeyPlace place{.module = KeyPlace::kNone, .name = {}, .key = rest};
  // Of `norm` and `norm.0`, the longer.
  const auto try_module = [&](KeyPlace::Module module, std::string_view name) {
    const bool begins_so = rest.size() > name.size() && rest.starts_with(name) && rest[name.size()] == '.';
    if (begins_so && name.size() > place.name.size())
      place = {.module = module, .name = rest.substr(0, name.size()), .key = rest.substr(name.size() + 1)};
  };
  for (const char* norm : style.norms) try_module(KeyPlace::kNorm, norm);
  for (const char* projection : style.projections) try_module(KeyPlace::kProjection, projection);
  try_module(KeyPlace::kProjection, style.out);
  return place;
}

const char* foreign_meaning(const KeyStyle& style, const KeyPlace& place) {
  for (const ForeignKey& foreign : kForeignKeys) {
    if ((foreign.module & place.module) == 0) continue;
    if (foreign.style != nullptr && std::string_view(foreign.style) != style.name) continue;
    const std::string_view pattern = foreign.pattern;
    const bool whole = pattern.find('.') != std::string_view::npos;
    if (whole ? fits(pattern, place.key) : fits_part(pattern, place.key)) return foreign.meaning;
  }
  return nullptr;
}

bool is_harmless(const KeyPlace& place, const char* norm) {
  const std::string_view leaf = place.key.substr(after_last(place.key, '.'));
  // thop leaves its counts in what it profiled.
  if (leaf == "total_ops" || leaf == "total_params") return true;
  if (place.module == KeyPlace::kNorm) return norm != nullptr && place.name == norm && place.key == "num_batches_tracked";
  if (place.module != KeyPlace::kNone) return false;
  const std::size_t dot = std::min(place.key.find('.'), place.key.size());
  const std::string_view module = place.key.substr(0, dot), rest = place.key.substr(dot);
  constexpr const char* kDropouts[] = {"dropout*", "*_dropout", "drop", "*_drop"};
  return (rest == ".p" || rest == ".seed_generator.seed_generator_state") &&
         std::ranges::any_of(kDropouts, [&](const char* dropout) { return fits(dropout, module); });
}

}  // namespace edgeattn::io
