#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "block_request.h"
#include "edgeattn/io.h"
#include "errors.h"
#include "foreign.h"
#include "key_style.h"
#include "number.h"
#include "qkv_order.h"

namespace edgeattn::io {
namespace {

/// `'a.', 'b.', … (12 more)`, short enough for a message.
std::string list_prefixes(const std::vector<BlockEntry>& blocks) {
  constexpr std::size_t kMostBytes = 110;
  std::string list;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::string prefix = std::string("'") + Shown(blocks[i].prefix).c_str() + "'";
    if (i != 0 && list.size() + prefix.size() > kMostBytes) {
      return list + ", … (" + std::to_string(blocks.size() - i) + " more)";
    }
    list += (i == 0 ? "" : ", ") + prefix;
  }
  return list;
}

/// `to_qkv.weight, … or score.weight`: the first tensor of every style.
std::string list_projections() {
  const std::span<const KeyStyle> styles = key_styles();
  std::string list;
  for (const KeyStyle& style : styles) {
    const bool last = &style == &styles.back();
    list += (list.empty() ? "" : last ? " or " : ", ") + std::string(style.projections[0]) + ".weight";
  }
  return list;
}

std::vector<BlockEntry> complete_blocks(const SafetensorsFile& file, const SortedKeys& keys) {
  std::vector<BlockEntry> blocks;
  for (const BlockPlace& place : block_places(file)) {
    std::vector<BlockTensor> tensors;
    Spec spec;
    if (!spec_in_file(file, place, spec).ok()) continue;
    if (!block_tensors(file, keys, place, spec.norm, Diagnosis::kAny, spec.channels, tensors).ok()) continue;
    const OpenQuestions open = open_questions(*place.style, {}, spec);
    blocks.push_back({.prefix = place.prefix,
                      .style = place.style->name,
                      .channels = spec.channels,
                      .norm = spec.norm,
                      .default_eps = place.style->folded ? spec.eps : place.style->eps,
                      .any_heads = place.style->any_heads,
                      .needed = open.needed,
                      .assumed = open.assumed});
  }
  return blocks;
}

/// Where the requested block is; without a prefix, the file's only one.
Status choose_place(const SafetensorsFile& file, const SortedKeys& keys, const std::string* prefix, BlockPlace& place) {
  const auto fail = [&](auto... parts) { return file_error(StatusCode::kNotFound, file.path(), parts...); };
  if (prefix != nullptr) {
    place = {*prefix, style_at(file, *prefix)};
    if (place.style != nullptr) return {};
    EDGEATTN_TRY(check_hidden_projections(file, prefix));
  }
  const std::vector<BlockEntry> blocks = complete_blocks(file, keys);
  if (prefix != nullptr) {
    const Shown given(*prefix);
    if (blocks.empty()) return fail("no block has prefix '", given.c_str(), "', nor any other");
    return fail("no block has prefix '", given.c_str(), "'; those with one: ", list_prefixes(blocks).c_str());
  }
  if (blocks.size() > 1) {
    return fail("expected a prefix, because the file has ", blocks.size(), " blocks: ", list_prefixes(blocks).c_str());
  }
  if (blocks.size() == 1) {
    place = {blocks[0].prefix, style_at(file, blocks[0].prefix)};
    return {};
  }
  // The first incomplete block says better what is wrong than "no block" would.
  const std::vector<BlockPlace> places = block_places(file);
  if (places.empty()) {
    EDGEATTN_TRY(check_hidden_projections(file, nullptr));
    return fail("expected an attention block, found none (a tensor that ends with ", list_projections().c_str(), ")");
  }
  place = places[0];
  return {};
}

Status check_values(const SafetensorsFile& file, const BlockTensor& tensor, const std::vector<float>& values) {
  const bool variance = tensor.values == &BlockWeights::running_var;
  const auto bad =
      std::ranges::find_if(values, [&](float value) { return !std::isfinite(value) || (variance && value < 0); });
  if (bad == values.end()) return {};
  return tensor_error(StatusCode::kInvalidArgument, file.path(), tensor.name, "expected finite float32 values",
                      variance ? " from 0 on" : "", ", given ", to_text(*bad).c_str(), " at index ",
                      static_cast<std::size_t>(bad - values.begin()));
}

Status read_tensor(const SafetensorsFile& file, const BlockTensor& tensor, BlockWeights& weights) {
  const TensorInfo* info = file.find(tensor.name);
  if (info == nullptr) return {};
  std::vector<float> part;
  EDGEATTN_TRY(file.read(*info, part));
  EDGEATTN_TRY(check_values(file, tensor, part));
  std::vector<float>& values = weights.*tensor.values;
  values.resize(tensor.size);
  std::ranges::copy(part, values.begin() + static_cast<std::ptrdiff_t>(tensor.first));
  return {};
}

}  // namespace

Status find_blocks(const SafetensorsFile& file, std::vector<BlockEntry>& blocks) noexcept {
  return guarded(StatusCode::kFormat, file.path(), [&]() -> Status {
    blocks = complete_blocks(file, SortedKeys(file));
    return {};
  });
}

Status load_block(const SafetensorsFile& file, const BlockRequest& request, BlockWeights& weights) noexcept {
  return guarded(StatusCode::kFormat, file.path(), [&]() -> Status {
    const SortedKeys keys(file);
    BlockPlace place;
    EDGEATTN_TRY(choose_place(file, keys, request.prefix, place));
    BlockWeights loaded;
    loaded.prefix = place.prefix;
    loaded.style = place.style->name;
    EDGEATTN_TRY(spec_in_file(file, place, loaded.spec));
    EDGEATTN_TRY(apply_request(file, place, request, loaded.spec));
    std::vector<BlockTensor> tensors;
    EDGEATTN_TRY(block_tensors(file, keys, place, loaded.spec.norm, Diagnosis::kBest, loaded.spec.channels, tensors));
    EDGEATTN_TRY(check_request(file, place, request, loaded.spec));
    loaded.assumed = open_questions(*place.style, request, loaded.spec).assumed;
    for (const BlockTensor& tensor : tensors) EDGEATTN_TRY(read_tensor(file, tensor, loaded));
    if (request.qkv_order == QkvOrder::kLegacy) reorder_legacy(loaded);
    weights = std::move(loaded);
    return {};
  });
}

Weights BlockWeights::view() const noexcept {
  const auto pointer = [](const std::vector<float>& values) { return values.empty() ? nullptr : values.data(); };
  return {.norm_weight = pointer(norm_weight),
          .norm_bias = pointer(norm_bias),
          .running_mean = pointer(running_mean),
          .running_var = pointer(running_var),
          .qkv_weight = pointer(qkv_weight),
          .qkv_bias = pointer(qkv_bias),
          .out_weight = pointer(out_weight),
          .out_bias = pointer(out_bias),
          .score_weight = pointer(score_weight),
          .score_bias = pointer(score_bias)};
}

}  // namespace edgeattn::io
