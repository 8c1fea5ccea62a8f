#include "folded.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "errors.h"
#include "header.h"
#include "number.h"

namespace edgeattn::io {
namespace {

constexpr const char* kVersion = "1";

template <class Number>
bool parse(const std::string& text, Number& number) {
  const char* const end = text.data() + text.size();
  const auto [next, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && next == end;
}

bool parse_positive(const std::string& text, double& number) {
  return parse(text, number) && std::isfinite(number) && number > 0;
}

bool parse_norm(const std::string& text, Norm& norm) {
  for (Norm candidate : {Norm::kGroup, Norm::kInstance, Norm::kBatch, Norm::kNone}) {
    if (text != to_string(candidate)) continue;
    norm = candidate;
    return true;
  }
  return false;
}

/// Looks up a file's metadata, and complains about it.
class MetadataReader {
 public:
  explicit MetadataReader(const SafetensorsFile& file) : file_(file) {}

  /// `take(text)` says whether the value is good; a key that is missing is an error unless it is optional.
  template <class Take>
  Status read(const char* key, const char* expected, bool optional, Take take) const {
    const Metadata& pairs = file_.metadata();
    const auto found = std::ranges::find(pairs, key, &Metadata::value_type::first);
    if (found == pairs.end()) return optional ? Status() : fail(key, expected, "nothing");
    return take(found->second) ? Status() : fail(key, expected, "'", Shown(found->second).c_str(), "'");
  }

 private:
  template <class... Given>
  Status fail(const char* key, const char* expected, Given... given) const {
    return file_error(StatusCode::kFormat, file_.path(), kMetadataKey, ": ", key, ": expected ", expected,
                      " for folded weights, given ", given...);
  }

  const SafetensorsFile& file_;
};

}  // namespace

Status read_folded_spec(const SafetensorsFile& file, Spec& spec) {
  const MetadataReader reader(file);
  EDGEATTN_TRY(reader.read("format", kFoldedFormat, false,
                           [](const std::string& text) { return text == kFoldedFormat; }));
  EDGEATTN_TRY(reader.read("version", kVersion, false, [](const std::string& text) { return text == kVersion; }));
  EDGEATTN_TRY(reader.read("norm", "gn, in, bn or none", false,
                           [&](const std::string& text) { return parse_norm(text, spec.norm); }));
  EDGEATTN_TRY(reader.read("groups", "a whole number", spec.norm != Norm::kGroup,
                           [&](const std::string& text) { return parse(text, spec.groups); }));
  EDGEATTN_TRY(reader.read("eps", "a number above 0", spec.norm == Norm::kNone,
                           [&](const std::string& text) { return parse_positive(text, spec.eps); }));
  EDGEATTN_TRY(reader.read("scale", "a number above 0", true,
                           [&](const std::string& text) { return parse_positive(text, spec.scale); }));
  EDGEATTN_TRY(reader.read("rescale_output", "a number above 0", true,
                           [&](const std::string& text) { return parse_positive(text, spec.rescale_output); }));
  return reader.read("residual", "true or false", true, [&](const std::string& text) {
    spec.residual = text == "true";
    return spec.residual || text == "false";
  });
}

Status fold_block(const BlockWeights& weights, const Machine& machine, BlockWeights& folded, pthreadpool_t pool) noexcept {
  return guarded(StatusCode::kInvalidArgument, "fold", [&]() -> Status {
    const std::size_t channels = weights.spec.channels;
    BlockWeights result{.spec = weights.spec,
                        .prefix = weights.prefix,
                        .style = kFoldedFormat,
                        .norm_weight = weights.norm_weight,
                        .norm_bias = weights.norm_bias,
                        .running_mean = weights.running_mean,
                        .running_var = weights.running_var,
                        .qkv_weight = {},
                        .qkv_bias = {},
                        .out_weight = std::vector<float>(channels * channels),
                        .out_bias = std::vector<float>(channels),
                        .score_weight = std::vector<float>(channels * channels),
                        .score_bias = std::vector<float>(channels),
                        .assumed = weights.assumed};
    EDGEATTN_TRY(fold(weights.spec, weights.view(), machine,
                      {.score_weight = result.score_weight,
                       .score_bias = result.score_bias,
                       .out_weight = result.out_weight,
                       .out_bias = result.out_bias},
                      pool));
    folded = std::move(result);
    return {};
  });
}

Status write_folded(const std::string& path, const BlockWeights& folded) noexcept {
  return guarded(StatusCode::kInvalidArgument, path, [&] {
    const Spec& spec = folded.spec;
    Metadata metadata = {{"format", kFoldedFormat}, {"version", kVersion}, {"norm", to_string(spec.norm)}};
    if (spec.norm == Norm::kGroup) metadata.emplace_back("groups", to_text(spec.groups));
    if (spec.norm != Norm::kNone) metadata.emplace_back("eps", to_text(spec.eps));
    if (spec.scale != 0) metadata.emplace_back("scale", to_text(spec.scale));
    if (spec.rescale_output != 1) metadata.emplace_back("rescale_output", to_text(spec.rescale_output));
    if (!spec.residual) metadata.emplace_back("residual", "false");

    std::vector<NamedTensor> tensors;
    const auto add = [&](const char* name, std::vector<std::size_t> shape, const std::vector<float>& values) {
      tensors.push_back({folded.prefix + name, std::move(shape), values});
    };
    const std::size_t c = spec.channels;
    add("score.weight", {c, c}, folded.score_weight);
    add("score.bias", {c}, folded.score_bias);
    add("out.weight", {c, c}, folded.out_weight);
    add("out.bias", {c}, folded.out_bias);
    if (spec.norm != Norm::kNone) {
      add("norm.weight", {c}, folded.norm_weight);
      add("norm.bias", {c}, folded.norm_bias);
    }
    if (spec.norm == Norm::kBatch) {
      add("norm.running_mean", {c}, folded.running_mean);
      add("norm.running_var", {c}, folded.running_var);
    }
    return write_safetensors(path, tensors, metadata);
  });
}

}  // namespace edgeattn::io
