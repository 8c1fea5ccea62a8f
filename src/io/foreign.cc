#include "foreign.h"

#include <string_view>

#include "errors.h"
#include "key_style.h"

namespace edgeattn::io {
namespace {

/// A key that a module has besides those of a block, and which module that is.
struct ForeignKey {
  const char* key;
  const char* beside;
  const char* module;
};
constexpr ForeignKey kForeignKeys[] = {
    {"to_out.0.weight", "to_qkv.weight", "lucidrains' LinearAttention, which has no softmax over scores"},
    {"norm.g", "to_qkv.weight", "lucidrains' Attention or LinearAttention, which normalises over channels"},
    {"mem_kv", "to_qkv.weight", "lucidrains' Attention or LinearAttention with keys and values of its own"},
    {"encoder_kv.weight", "qkv.weight", "attention to a text beside the pixels"},
    {"add_k_proj.weight", "to_q.weight", "attention to a text beside the pixels"},
    {"norm_q.weight", "to_q.weight", "attention with a norm of its queries"},
    {"norm_k.weight", "to_q.weight", "attention with a norm of its keys"},
    {"spatial_norm.norm_layer.weight", "to_q.weight", "attention with a norm that depends on the latents"},
};

/// lucidrains' Residual, PreNorm and Rezero keep what they wrap in `fn`, LinearAttention most of the time, and the norm outside.
bool is_wrapped(const SafetensorsFile& file, std::string_view prefix) {
  const bool in_fn = prefix == "fn." || prefix.ends_with(".fn.");
  return in_fn && file.find(std::string(prefix) + "norm.weight") == nullptr;
}

/// Splits the name of a kernel of some style's first projection into what stands before it and the weight that it should be; false
/// for other names.
bool split_kernel(std::string_view name, std::string_view& prefix, std::string& weight) {
  const std::string_view whole = name;
  if (name.ends_with(":0")) name.remove_suffix(2);
  const bool slashes = name.ends_with("/kernel");
  if (!slashes && !name.ends_with(".kernel")) return false;
  name.remove_suffix(std::string_view(".kernel").size());
  for (const KeyStyle& style : key_styles()) {
    const std::string_view projection = style.projections[0];
    if (!name.ends_with(projection)) continue;
    prefix = whole.substr(0, name.size() - projection.size());
    weight = std::string(projection) + ".weight";
    if (prefix.empty() || prefix.ends_with(slashes ? '/' : '.')) return true;
  }
  return false;
}

}  // namespace

Status check_foreign_module(const SafetensorsFile& file, const std::string& prefix) {
  const auto fail = [&](const std::string& name, const char* module) {
    return tensor_error(StatusCode::kUnsupported, file.path(), name, "expected no such tensor in a block; this is ",
                        module);
  };
  for (const ForeignKey& foreign : kForeignKeys) {
    const std::string name = prefix + foreign.key;
    if (file.find(name) != nullptr && file.find(prefix + foreign.beside) != nullptr) return fail(name, foreign.module);
  }
  const std::string wrapped = prefix + "to_qkv.weight";
  if (file.find(wrapped) != nullptr && is_wrapped(file, prefix)) {
    return fail(wrapped, "lucidrains' Attention or LinearAttention, whose norm is outside of it");
  }
  return {};
}

Status check_transposed_kernels(const SafetensorsFile& file, const std::string* prefix) {
  for (const TensorInfo& tensor : file.tensors()) {
    std::string_view found;
    std::string weight;
    if (!split_kernel(tensor.name, found, weight) || (prefix != nullptr && found != *prefix)) continue;
    return tensor_error(StatusCode::kUnsupported, file.path(), tensor.name, "expected ", weight.c_str(),
                        ", [outputs, inputs], given a kernel of Flax or TensorFlow, [inputs, outputs]: transpose it");
  }
  return {};
}

}  // namespace edgeattn::io
