#include "foreign.h"

#include <algorithm>
#include <string_view>

#include "after_last.h"
#include "errors.h"
#include "foreign_keys.h"

namespace edgeattn::io {
namespace {

Status refuse(const SafetensorsFile& file, std::string_view name, const char* meaning) {
  return tensor_error(StatusCode::kUnsupported, file.path(), name, "expected no such tensor in a block; this is ", meaning);
}

/// Whether a key is one that every block of its style may have; `norm` is what this one's norm is called, or null.
bool is_own(const KeyPlace& place, const char* norm) {
  const bool weight = place.key == "weight" || place.key == "bias";
  if (place.module == KeyPlace::kProjection) return weight;
  if (place.module != KeyPlace::kNorm || norm == nullptr || place.name != norm) return false;
  return weight || place.key == "running_mean" || place.key == "running_var";
}

/// `norm, gn or norm1`
std::string list_names(std::span<const char* const> names) {
  std::string list;
  for (const char* const& name : names)
    list += (list.empty() ? "" : &name == &names.back() ? " or " : ", ") + std::string(name);
  return list;
}

/// The style whose projection a key is; null when it is none.
const KeyStyle* style_of_projection(std::string_view rest) {
  for (const KeyStyle& style : key_styles()) {
    for (const std::string_view projection : style.projections) {
      if (rest.starts_with(projection) && rest.substr(projection.size()) == ".weight") return &style;
    }
  }
  return nullptr;
}

bool is_vector(const TensorInfo& tensor) { return tensor.shape.size() == 1 && tensor.shape[0] > 1; }

bool sounds_like_norm(std::string_view rest) {
  constexpr const char* kWords[] = {"*norm*", "*Norm*", "gn*", "ln*", "bn*", "NormLayer*"};
  return std::ranges::any_of(kWords, [&](const char* word) { return fits_part(word, rest); });
}

/// Of a key that is nobody's.
Status refuse_unknown(const SafetensorsFile& file, const BlockPlace& place, const char* norm, std::string_view name) {
  const KeyStyle& style = *place.style;
  const std::string_view rest = name.substr(place.prefix.size());
  const auto fail = [&](auto... parts) {
    return tensor_error(StatusCode::kUnsupported, file.path(), name, "expected no such tensor in a block", parts...);
  };
  const KeyStyle* other = style_of_projection(rest);
  if (other != nullptr) return fail(" of style ", style.name, "; this is a projection of style ", other->name);
  if (norm == nullptr && (sounds_like_norm(rest) || is_vector(*file.find(name))))
    return fail("; if it is the GroupNorm, call it ", list_names(style.norms).c_str(), ", as style ", style.name, " does");
  return fail(" of style ", style.name, ", whose output may depend on it; if it does not, leave it out");
}

/// Splits the name of a tensor of some style's first projection into what stands before it and what follows; false for other
/// names.
bool split_projection(std::string_view name, std::string_view& prefix, std::string_view& projection, std::string_view& rest) {
  const char separator = name.find('/') != std::string_view::npos ? '/' : '.';
  for (const KeyStyle& style : key_styles()) {
    projection = style.projections[0];
    for (std::size_t at = name.find(projection); at != std::string_view::npos; at = name.find(projection, at + 1)) {
      const std::size_t end = at + projection.size();
      const bool whole = (at == 0 || name[at - 1] == separator) && end < name.size() && name[end] == separator;
      if (!whole) continue;
      prefix = name.substr(0, at);
      rest = name.substr(end + 1);
      return true;
    }
  }
  return false;
}

}  // namespace

Status check_foreign_keys(const SafetensorsFile& file, const SortedKeys& keys, const BlockPlace& place, const char* norm) {
  constexpr std::size_t kMostUnknown = 64;  // of a file that is all one block, a sample
  std::string_view unknown;
  std::size_t count = 0;
  for (const std::string_view name : keys.below(place.prefix)) {
    const KeyPlace key = key_place(*place.style, name.substr(place.prefix.size()));
    if (is_own(key, norm) || is_harmless(key, norm)) continue;
    if (const char* meaning = foreign_meaning(*place.style, key)) return refuse(file, name, meaning);
    if (count == 0) unknown = name;
    if (++count == kMostUnknown) break;
  }
  return count == 0 ? Status() : refuse_unknown(file, place, norm, unknown);
}

Status check_wrapped(const SafetensorsFile& file, const SortedKeys& keys, const BlockPlace& place, const char* norm,
                     Diagnosis diagnosis) {
  const bool in_fn = place.prefix == "fn." || place.prefix.ends_with(".fn.");
  const TensorInfo* wrapped = file.find(place.prefix + "to_qkv.weight");
  if (!in_fn || norm != nullptr || wrapped == nullptr) return {};
  std::string meaning = "lucidrains' Attention or LinearAttention, whose norm is outside of it";
  const bool look = diagnosis == Diagnosis::kBest && wrapped->shape.size() > 1;
  if (const TensorInfo* outside = look ? norm_above(file, keys, place.prefix, wrapped->shape[1]) : nullptr)
    meaning += std::string(": '") + Shown(outside->name).c_str() + '\'';
  return refuse(file, wrapped->name, meaning.c_str());
}

Status check_hidden_projections(const SafetensorsFile& file, const std::string* prefix) {
  for (const TensorInfo& tensor : file.tensors()) {
    std::string_view found, projection, rest;
    if (!split_projection(tensor.name, found, projection, rest) || (prefix != nullptr && found != *prefix)) continue;
    const std::string weight = std::string(projection) + ".weight";
    if (rest == "kernel" || rest == "kernel:0")
      return tensor_error(StatusCode::kUnsupported, file.path(), tensor.name, "expected ", weight.c_str(),
                          ", [outputs, inputs], given a kernel of Flax or TensorFlow, [inputs, outputs]: transpose it");
    const KeyPlace key{.module = KeyPlace::kProjection, .name = projection, .key = rest};
    const char* meaning = rest == "weight" || rest == "bias" ? nullptr : foreign_meaning(key_styles().front(), key);
    if (meaning != nullptr)
      return tensor_error(StatusCode::kUnsupported, file.path(), tensor.name, "expected ", weight.c_str(), ", given ", meaning);
  }
  return {};
}

const TensorInfo* norm_above(const SafetensorsFile& file, const SortedKeys& keys, const std::string& prefix,
                             std::size_t channels) {
  if (prefix.size() < 2) return nullptr;
  const std::string_view block = std::string_view(prefix).substr(0, prefix.size() - 1);
  const std::string_view parent = block.substr(0, after_last(block, '.'));
  const TensorInfo* found = nullptr;
  for (const std::string_view name : keys.below(parent)) {
    const std::string_view rest = name.substr(parent.size());
    const std::size_t dot = rest.rfind('.');
    if (name.starts_with(prefix) || dot == std::string_view::npos) continue;
    const std::string_view module = rest.substr(0, dot), leaf = rest.substr(dot + 1);
    const bool weight = leaf == "weight" || leaf == "g" || leaf == "gamma" || leaf == "scale";
    // `norm` itself, or the `0` of a sequence; not what deeper modules have.
    const bool near =
        module.find('.') == std::string_view::npos || (module.find('.') == module.rfind('.') && sounds_like_norm(module));
    const TensorInfo* tensor = file.find(name);
    if (!weight || !near || tensor->elements() != channels) continue;
    if (sounds_like_norm(module)) return tensor;
    if (found == nullptr) found = tensor;
  }
  return found;
}

}  // namespace edgeattn::io
