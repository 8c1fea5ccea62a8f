#include "embedding.h"

#include <cmath>

#include "group_norm.h"
#include "tensor_file.h"

namespace sampler {
namespace {

constexpr std::size_t kWaves = 32;

}  // namespace

Embedding::Embedding(const edgeattn::io::SafetensorsFile& file, std::size_t images)
    : first_(file, "time.0", 2 * kWaves, kSize),
      second_(file, "time.2", kSize, kSize),
      labels_(read_tensor(file, "label.weight", {kDigits, kSize})),
      waves_(2 * kWaves),
      hidden_(kSize),
      time_(kSize),
      embedded_(images * kSize) {}

const float* Embedding::run(std::size_t t) {
  for (std::size_t k = 0; k < kWaves; ++k) {
    const float wave = std::exp(-std::log(1e4f) * static_cast<float>(k) / kWaves) * static_cast<float>(t);
    waves_[k] = std::sin(wave);
    waves_[kWaves + k] = std::cos(wave);
  }
  first_.run(waves_.data(), 1, hidden_.data());
  for (float& value : hidden_) value = silu(value);
  second_.run(hidden_.data(), 1, time_.data());
  for (std::size_t i = 0; i < embedded_.size(); ++i) embedded_[i] = silu(time_[i % kSize] + labels_[i]);
  return embedded_.data();
}

}  // namespace sampler
