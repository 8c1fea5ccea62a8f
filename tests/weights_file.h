#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "edgeattn/io.h"
#include "files.h"

/// Weights files as tests make them, and what they ask of one.
namespace edgeattn::test {

using Sizes = std::vector<std::size_t>;
inline constexpr std::size_t kChannels = 4;

inline const std::string kFoldedMetadata =
    R"("format":"edgeattn-folded","version":"1","norm":"gn","groups":"2","eps":"1e-06")";

/// What a key style calls its modules.
struct StyleNames {
  std::string norm;
  std::vector<std::string> projections;
  std::string out;
};
inline const StyleNames kDdpm{"norm", {"to_qkv"}, "to_out"};
inline const StyleNames kDiffusers{"group_norm", {"to_q", "to_k", "to_v"}, "to_out.0"};
inline const StyleNames kDiffusersLegacy{"group_norm", {"query", "key", "value"}, "proj_attn"};
inline const StyleNames kCompVis{"norm", {"q", "k", "v"}, "proj_out"};
inline const StyleNames kGuidedDiffusion{"norm", {"qkv"}, "proj_out"};

/// A weights file in the making: float32 tensors whose elements count up from a number that belongs to the name.
class WeightsFile {
 public:
  void add(const std::string& name, const Sizes& shape, float first = 0) {
    std::vector<float> values(std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>()));
    std::iota(values.begin(), values.end(), first);
    tensors_[name] = {shape, values};
  }
  /// A complete block; the shapes of projections go on with `ones` behind rows and columns.
  void add_block(const std::string& prefix, const StyleNames& names, const Sizes& ones, std::size_t channels = kChannels) {
    const auto shape = [&](std::size_t rows) {
      Sizes sizes{rows, channels};
      sizes.insert(sizes.end(), ones.begin(), ones.end());
      return sizes;
    };
    add(prefix + names.norm + ".weight", {channels}, 1000);
    add(prefix + names.norm + ".bias", {channels}, 2000);
    const std::size_t rows = 3 * channels / names.projections.size();
    for (std::size_t i = 0; i < names.projections.size(); ++i) {
      add(prefix + names.projections[i] + ".weight", shape(rows), static_cast<float>(3000 + i * rows * channels));
      add(prefix + names.projections[i] + ".bias", {rows}, static_cast<float>(4000 + i * rows));
    }
    add(prefix + names.out + ".weight", shape(channels), 5000);
    add(prefix + names.out + ".bias", {channels}, 6000);
  }
  void add_ddpm(const std::string& prefix, std::size_t channels = kChannels) {
    add_block(prefix, kDdpm, {1, 1}, channels);
  }
  void add_folded(const std::string& prefix, const std::string& metadata = kFoldedMetadata) {
    add(prefix + "norm.weight", {kChannels}, 1000);
    add(prefix + "norm.bias", {kChannels}, 2000);
    add(prefix + "score.weight", {kChannels, kChannels}, 3000);
    add(prefix + "score.bias", {kChannels}, 4000);
    add(prefix + "out.weight", {kChannels, kChannels}, 5000);
    add(prefix + "out.bias", {kChannels}, 6000);
    metadata_ = metadata;
  }
  void add_running(const std::string& prefix) {
    add(prefix + "norm.running_mean", {kChannels}, 7000);
    add(prefix + "norm.running_var", {kChannels}, 8000);
    add(prefix + "norm.num_batches_tracked", {});
  }
  void remove(const std::string& name) { tensors_.erase(name); }
  std::vector<float>& values(const std::string& name) { return tensors_.at(name).values; }

  [[nodiscard]] std::string bytes() const {
    std::string header = metadata_.empty() ? "{" : R"({"__metadata__":{)" + metadata_ + '}';
    std::string data;
    for (const auto& [name, tensor] : tensors_) {
      header += (header.size() == 1 ? "\"" : ",\"") + name + R"(":{"dtype":"F32","shape":[)";
      const char* comma = "";
      for (const std::size_t size : tensor.shape) {
        header += comma;
        header += std::to_string(size);
        comma = ",";
      }
      header += R"(],"data_offsets":[)" + std::to_string(data.size()) + ',';
      for (const float value : tensor.values) data += little_endian(value);
      header += std::to_string(data.size()) + "]}";
    }
    return safetensors(header + '}', data);
  }

 private:
  struct Tensor {
    Sizes shape;
    std::vector<float> values;
  };
  std::map<std::string, Tensor> tensors_;
  std::string metadata_;
};

/// An opened file together with its bytes.
struct Opened {
  explicit Opened(const WeightsFile& weights) : bytes(weights.bytes()) {
    REQUIRE(std::string(io::SafetensorsFile::parse(bytes_of(bytes), "f", file).message()) == "");
  }
  std::string bytes;
  io::SafetensorsFile file;
};

inline std::vector<float> counting(float first, std::size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

/// The values of WeightsFile::add_block, each where it belongs.
inline void check_values(const io::BlockWeights& block) {
  CHECK(block.norm_weight == counting(1000, kChannels));
  CHECK(block.norm_bias == counting(2000, kChannels));
  CHECK(block.qkv_weight == counting(3000, 3 * kChannels * kChannels));
  CHECK(block.qkv_bias == counting(4000, 3 * kChannels));
  CHECK(block.out_weight == counting(5000, kChannels * kChannels));
  CHECK(block.out_bias == counting(6000, kChannels));
}

/// A request as a table row can write it.
struct Request {
  std::optional<std::string> prefix = {};
  std::optional<Norm> norm = {};
  std::size_t groups = 2;
  double eps = 0;
  std::size_t heads = 0;
  io::QkvOrder qkv_order = io::QkvOrder::kUnsaid;
  std::optional<bool> residual = {};
  double rescale_output = 0;
  double scale = 0;

  [[nodiscard]] Status load(const io::SafetensorsFile& file, io::BlockWeights& weights) const {
    io::BlockRequest request;
    request.prefix = prefix ? &*prefix : nullptr;
    request.norm = norm ? &*norm : nullptr;
    request.groups = groups;
    request.eps = eps;
    request.heads = heads;
    request.qkv_order = qkv_order;
    request.residual = residual ? &*residual : nullptr;
    request.rescale_output = rescale_output;
    request.scale = scale;
    return io::load_block(file, request, weights);
  }
};

}  // namespace edgeattn::test
