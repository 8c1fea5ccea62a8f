#include "key_style.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "block_norm.h"
#include "errors.h"
#include "folded.h"
#include "foreign.h"
#include "plan/sizes.h"

namespace edgeattn::io {
namespace {

// The class of style ddpm is written anew in many code bases: what they call its norm. Names that say which norm it is are taken
// of any style.
constexpr const char* kDdpmNorms[] = {"norm", "group_norm", "gn", "norm1", "norm.0", "GroupNorm_0"};
constexpr const char* kGroupNorms[] = {"group_norm", "gn", "GroupNorm_0"};
constexpr const char* kNorms[] = {"norm", "group_norm", "gn", "GroupNorm_0"};
constexpr const char* kFoldedNorms[] = {"norm"};
constexpr const char* kToQkv[] = {"to_qkv"};
constexpr const char* kDiffusers[] = {"to_q", "to_k", "to_v"};
constexpr const char* kDiffusersLegacy[] = {"query", "key", "value"};
constexpr const char* kCompVis[] = {"q", "k", "v"};
constexpr const char* kQkv[] = {"qkv"};
constexpr const char* kScore[] = {"score"};
constexpr KeyStyle kStyles[] = {
    {.name = "ddpm", .norms = kDdpmNorms, .projections = kToQkv, .out = "to_out", .eps = 1e-5, .may_lack_norm = true},
    {.name = "diffusers",
     .norms = kGroupNorms,
     .projections = kDiffusers,
     .out = "to_out.0",
     .any_heads = true,
     .any_rescale = true},
    {.name = "diffusers-legacy",
     .norms = kGroupNorms,
     .projections = kDiffusersLegacy,
     .out = "proj_attn",
     .any_heads = true,
     .any_rescale = true},
    {.name = "compvis", .norms = kNorms, .projections = kCompVis, .out = "proj_out", .eps = 1e-6},
    {.name = "guided-diffusion",
     .norms = kNorms,
     .projections = kQkv,
     .out = "proj_out",
     .eps = 1e-5,
     .any_heads = true,
     .any_order = true},
    {.name = kFoldedFormat, .norms = kFoldedNorms, .projections = kScore, .out = "out", .folded = true},
};

void add_projections(const BlockPlace& place, std::size_t channels, std::vector<BlockTensor>& tensors) {
  const KeyStyle& style = *place.style;
  const std::size_t parts = style.projections.size();
  const std::size_t rows = style.folded ? channels : sizes::mul(3 / parts, channels);
  const auto weight = style.folded ? &BlockWeights::score_weight : &BlockWeights::qkv_weight;
  const auto bias = style.folded ? &BlockWeights::score_bias : &BlockWeights::qkv_bias;
  for (std::size_t part = 0; part < parts; ++part) {
    const std::string name = place.prefix + style.projections[part];
    const std::size_t first_row = sizes::mul(part, rows);
    tensors.push_back({name + ".weight", rows, channels, true, weight, sizes::mul(first_row, channels),
                       sizes::mul(parts, rows, channels)});
    tensors.push_back({name + ".bias", rows, 0, style.folded, bias, first_row, sizes::mul(parts, rows)});
  }
}

/// The tensors that a complete block has whose norm, if any, is called `norm_name`; optional ones too.
std::vector<BlockTensor> expected_tensors(const BlockPlace& place, Norm norm, const char* norm_name, std::size_t channels) {
  const KeyStyle& style = *place.style;
  std::vector<BlockTensor> tensors;
  add_projections(place, channels, tensors);
  const std::string out = place.prefix + style.out;
  tensors.push_back({out + ".weight", channels, channels, true, &BlockWeights::out_weight, 0, sizes::mul(channels, channels)});
  tensors.push_back({out + ".bias", channels, 0, style.folded, &BlockWeights::out_bias, 0, channels});
  for (const NormKey& key : kNormKeys) {
    if (key.belongs_to(norm)) tensors.push_back({key.tensor(place, norm_name), channels, 0, true, key.values, 0, channels});
  }
  return tensors;
}

bool fits(const std::vector<std::size_t>& shape, const BlockTensor& tensor) {
  if (tensor.columns == 0) return shape.size() == 1 && shape[0] == tensor.rows;
  return shape.size() >= 2 && shape.size() <= 4 && shape[0] == tensor.rows && shape[1] == tensor.columns &&
         std::all_of(shape.begin() + 2, shape.end(), [](std::size_t size) { return size == 1; });
}

std::string to_text(const std::vector<std::size_t>& shape) {
  constexpr std::size_t kMostSizes = 6;
  std::string text = "[";
  for (std::size_t i = 0; i < std::min(shape.size(), kMostSizes); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + (shape.size() > kMostSizes ? ", …]" : "]");
}

std::string expected_text(const BlockTensor& tensor) {
  const std::string rows = std::to_string(tensor.rows);
  if (tensor.columns == 0) return '[' + rows + ']';
  const std::string both = '[' + rows + ", " + std::to_string(tensor.columns);
  return both + "], " + both + ", 1] or " + both + ", 1, 1]";
}

Status shape_error(const SafetensorsFile& file, const TensorInfo& given, const std::string& expected) {
  return tensor_error(StatusCode::kFormat, file.path(), given.name, "expected shape ", expected.c_str(), ", given ",
                      to_text(given.shape).c_str());
}

Status check_tensor(const SafetensorsFile& file, const BlockTensor& tensor) {
  const TensorInfo* given = file.find(tensor.name);
  if (given != nullptr) return fits(given->shape, tensor) ? Status() : shape_error(file, *given, expected_text(tensor));
  if (!tensor.required) return {};
  return tensor_error(StatusCode::kNotFound, file.path(), tensor.name, "is missing, expected shape ",
                      expected_text(tensor).c_str());
}

Status find_channels(const SafetensorsFile& file, const BlockPlace& place, std::size_t& channels) {
  const std::string name = place.prefix + place.style->projections[0] + ".weight";
  const TensorInfo* projection = file.find(name);
  if (projection == nullptr) return tensor_error(StatusCode::kNotFound, file.path(), name, "is missing");
  channels = projection->shape.size() < 2 ? 0 : projection->shape[1];
  if (channels != 0) return {};
  const bool all_three = place.style->projections.size() == 1 && !place.style->folded;
  const char* rows = all_three ? "[3C, C]" : "[C, C]";
  return shape_error(file, *projection, std::string(rows) + " for C channels, C ≥ 1");
}

}  // namespace

std::span<const KeyStyle> key_styles() { return kStyles; }

const KeyStyle* style_at(const SafetensorsFile& file, const std::string& prefix) {
  for (const KeyStyle& style : kStyles) {
    for (const char* projection : style.projections) {
      if (file.find(prefix + projection + ".weight") != nullptr) return &style;
    }
  }
  return nullptr;
}

std::vector<BlockPlace> block_places(const SafetensorsFile& file) {
  std::vector<BlockPlace> places;
  for (const TensorInfo& tensor : file.tensors()) {
    for (const KeyStyle& style : kStyles) {
      const std::string suffix = std::string(style.projections[0]) + ".weight";
      if (!tensor.name.ends_with(suffix)) continue;
      std::string prefix = tensor.name.substr(0, tensor.name.size() - suffix.size());
      if (prefix.empty() || prefix.ends_with('.')) places.push_back({std::move(prefix), &style});
    }
  }
  // Where a place has projections of two styles, the one that style_at takes.
  std::ranges::sort(places, {}, [](const BlockPlace& place) { return std::tie(place.prefix, place.style); });
  const auto same_place = [](const BlockPlace& a, const BlockPlace& b) { return a.prefix == b.prefix; };
  places.erase(std::unique(places.begin(), places.end(), same_place), places.end());
  return places;
}

Status spec_in_file(const SafetensorsFile& file, const BlockPlace& place, Spec& spec) {
  if (place.style->folded) return read_folded_spec(file, spec);
  if (place.style->eps != 0) spec.eps = place.style->eps;
  spec.norm = Norm::kGroup;
  const char* norm = nullptr;
  EDGEATTN_TRY(find_norm(file, place, norm));
  if (norm == nullptr) return {};
  for (const NormKey& key : kNormKeys) {
    if (key.running && file.find(key.tensor(place, norm)) != nullptr) spec.norm = Norm::kBatch;
  }
  return {};
}

Status block_tensors(const SafetensorsFile& file, const SortedKeys& keys, const BlockPlace& place, Norm norm, Diagnosis diagnosis,
                     std::size_t& channels, std::vector<BlockTensor>& tensors) {
  const char* own_norm = nullptr;
  EDGEATTN_TRY(find_norm(file, place, own_norm));
  EDGEATTN_TRY(check_wrapped(file, keys, place, own_norm, diagnosis));
  EDGEATTN_TRY(check_foreign_keys(file, keys, place, own_norm));
  EDGEATTN_TRY(find_channels(file, place, channels));
  EDGEATTN_TRY(check_other_norm_keys(file, place, norm, own_norm));
  tensors = expected_tensors(place, norm, own_norm != nullptr ? own_norm : place.style->norms[0], channels);
  for (const BlockTensor& tensor : tensors) {
    if (own_norm == nullptr && tensor.values == &BlockWeights::norm_weight)
      return missing_norm(file, keys, place, channels, diagnosis);
    EDGEATTN_TRY(check_tensor(file, tensor));
  }
  return {};
}

}  // namespace edgeattn::io
