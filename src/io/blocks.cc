#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <string>
#include <utility>

#include "edgeattn/io.h"
#include "errors.h"
#include "key_style.h"

namespace edgeattn::io {
namespace {

std::string to_text(double value) {
  char digits[32];
  return {digits, std::to_chars(std::begin(digits), std::end(digits), value).ptr};
}

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

std::vector<BlockEntry> complete_blocks(const SafetensorsFile& file) {
  std::vector<BlockEntry> blocks;
  for (const BlockPlace& place : block_places(file)) {
    std::vector<BlockTensor> tensors;
    Spec spec;
    if (!spec_in_file(file, place, spec).ok()) continue;
    if (!block_tensors(file, place, spec.norm, spec.channels, tensors).ok()) continue;
    blocks.push_back({.prefix = place.prefix,
                      .style = place.style->name,
                      .channels = spec.channels,
                      .norm = spec.norm,
                      .default_eps = spec.eps});
  }
  return blocks;
}

/// Where the requested block is; without a prefix, the file's only one.
Status choose_place(const SafetensorsFile& file, const std::string* prefix, BlockPlace& place) {
  const auto fail = [&](auto... parts) { return file_error(StatusCode::kNotFound, file.path(), parts...); };
  if (prefix != nullptr) {
    place = {*prefix, style_at(file, *prefix)};
    if (place.style != nullptr) return {};
  }
  const std::vector<BlockEntry> blocks = complete_blocks(file);
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
    return fail("expected an attention block, found none (a tensor that ends with to_qkv.weight or score.weight)");
  }
  place = places[0];
  return {};
}

/// Puts what the caller chooses into the spec that the file tells of, which folded weights leave no choice.
Status apply_request(const SafetensorsFile& file, const BlockPlace& place, const BlockRequest& request, Spec& spec) {
  const auto fail = [&](auto... parts) { return file_error(StatusCode::kInvalidArgument, file.path(), parts...); };
  const Spec own = spec;
  if (request.norm != nullptr) spec.norm = *request.norm;
  if (request.groups != 0) spec.groups = request.groups;
  if (request.eps != 0) spec.eps = request.eps;
  spec.heads = request.heads;
  if (!place.style->folded) return {};
  const bool has_groups = own.norm == Norm::kGroup, has_eps = own.norm != Norm::kNone;
  if (spec.norm != own.norm) {
    return fail("norm: the weights were folded for '", to_string(own.norm), "', given '", to_string(spec.norm), "'");
  }
  if (has_groups && spec.groups != own.groups)
    return fail("groups: the weights were folded for ", own.groups, ", given ", spec.groups);
  if (has_eps && spec.eps != own.eps) {
    return fail("eps: the weights were folded for ", to_text(own.eps).c_str(), ", given ", to_text(spec.eps).c_str());
  }
  return {};
}

Status check_spec(const SafetensorsFile& file, const Spec& spec) {
  const auto fail = [&](auto... parts) { return file_error(StatusCode::kInvalidArgument, file.path(), parts...); };
  if (!std::isfinite(spec.eps) || spec.eps <= 0) {
    return fail("eps: expected a finite number above 0, given ", to_text(spec.eps).c_str());
  }
  if (spec.norm == Norm::kGroup && (spec.groups == 0 || spec.channels % spec.groups != 0)) {
    return fail("groups: expected a divisor of the ", spec.channels, " channels, given ", spec.groups);
  }
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
    blocks = complete_blocks(file);
    return {};
  });
}

Status load_block(const SafetensorsFile& file, const BlockRequest& request, BlockWeights& weights) noexcept {
  return guarded(StatusCode::kFormat, file.path(), [&]() -> Status {
    BlockPlace place;
    EDGEATTN_TRY(choose_place(file, request.prefix, place));
    BlockWeights loaded;
    loaded.prefix = place.prefix;
    loaded.style = place.style->name;
    EDGEATTN_TRY(spec_in_file(file, place, loaded.spec));
    EDGEATTN_TRY(apply_request(file, place, request, loaded.spec));
    std::vector<BlockTensor> tensors;
    EDGEATTN_TRY(block_tensors(file, place, loaded.spec.norm, loaded.spec.channels, tensors));
    EDGEATTN_TRY(check_spec(file, loaded.spec));
    for (const BlockTensor& tensor : tensors) EDGEATTN_TRY(read_tensor(file, tensor, loaded));
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
