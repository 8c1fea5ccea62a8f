// Kernels that pass over a whole image, which a run finds outside the caches.

#include <cstring>

#include "block/operands.h"
#include "kernel_cases.h"
#include "plan/memory_map.h"

namespace edgeattn::bench {
namespace {

/// Tokens that a run packs at a time, and of a key block.
constexpr std::size_t kStripTokens = 64;
constexpr std::size_t kKeyBlock = 512;
/// Rows of a tile of outputs.
constexpr std::size_t kTileRows = 252;

struct Image {
  std::size_t channels;
  std::size_t tokens;
  bool nchw;

  [[nodiscard]] std::size_t size() const { return channels * tokens; }
  [[nodiscard]] std::size_t token_stride() const { return nchw ? 1 : channels; }
  [[nodiscard]] std::size_t channel_stride() const { return nchw ? tokens : 1; }
  [[nodiscard]] std::string name() const {
    return text(nchw ? "nchw" : "nhwc", "/channels:", channels, "/tokens:", tokens);
  }
};

constexpr Image kImages[] = {{512, 4096, true}, {512, 4096, false}, {256, 256, true},
                             {256, 256, false}, {512, 64, true},    {512, 64, false}};

std::vector<KernelCase> image_cases(void (*time)(benchmark::State&, const Kernels&, const Image&)) {
  std::vector<KernelCase> cases;
  for (const Image& image : kImages)
    cases.push_back({.size = image.name(), .time = [=](auto& state, auto& kernels) { time(state, kernels, image); }});
  return cases;
}

void time_statistics(benchmark::State& state, const Kernels& kernels, const Image& image) {
  ColdPieces images(image.size());
  std::vector<ShiftedSums> sums(image.channels);
  const double seconds = mean_seconds(state, [&] {
    const float* const x = images.next();
    for (std::size_t first = 0; first < image.tokens; first += kStatisticsTokens)
      kernels.statistics(x + first * image.token_stride(), x, std::min(kStatisticsTokens, image.tokens - first),
                         image.channels, image.token_stride(), image.channel_stride(), sums.data());
    benchmark::DoNotOptimize(sums.data());
  });
  count_floats_moved(state, image.size(), seconds);
}

void time_pack(benchmark::State& state, const Kernels& kernels, const Image& image) {
  const std::size_t block = std::min(kKeyBlock, image.tokens);
  const std::size_t blocks = image.tokens / block;
  const PanelLayout keys = plain_layout(image.channels, block), values = plain_layout(block, image.channels);
  const std::size_t keys_stride = operand_stride(keys), values_stride = operand_stride(values);
  ColdPieces pieces(image.size() + blocks * (keys_stride + values_stride) / sizeof(float));
  const std::vector<float> zeros(image.channels), ones(image.channels, 1.0f);
  const double seconds = mean_seconds(state, [&] {
    float* const x = pieces.next();
    auto* const packed_keys = reinterpret_cast<std::byte*>(x + image.size());
    std::byte* const packed_values = packed_keys + blocks * keys_stride;
    for (std::size_t b = 0; b < blocks; ++b)
      for (std::size_t first = 0; first < block; first += kStripTokens)
        kernels.pack({.x = x + (b * block + first) * image.token_stride(),
                      .token_stride = image.token_stride(),
                      .channel_stride = image.channel_stride(),
                      .tokens = kStripTokens,
                      .first_token = first,
                      .channels = image.channels,
                      .mean = zeros.data(),
                      .scale = ones.data(),
                      .shift = zeros.data(),
                      .keys = panels(keys, packed_keys + b * keys_stride),
                      .values = panels(values, packed_values + b * values_stride)});
  });
  count_floats_moved(state, 3 * image.size(), seconds);
}

void time_add_residual(benchmark::State& state, const Kernels& kernels, const Image& image) {
  const std::size_t rows = std::min(kTileRows, image.tokens);
  const Memory tile = numbers(rows * image.channels);
  const std::vector<float> poison(rows);
  ColdPieces pieces(2 * image.size());
  const double seconds = mean_seconds(state, [&] {
    float* const x = pieces.next();
    for (std::size_t first = 0; first < image.tokens; first += rows)
      kernels.add_residual({.tile = tile.floats(),
                            .stride = image.channels,
                            .poison = poison.data(),
                            .x = x + first * image.token_stride(),
                            .y = x + image.size() + first * image.token_stride(),
                            .token_stride = image.token_stride(),
                            .channel_stride = image.channel_stride(),
                            .tokens = std::min(rows, image.tokens - first),
                            .channels = image.channels});
  });
  count_floats_moved(state, 3 * image.size(), seconds);
}

/// From the layout of `image` to the other one, on pieces of memory in turn.
template <class Copy>
void time_copy(benchmark::State& state, const Image& image, Copy copy) {
  ColdPieces pieces(2 * image.size());
  const double seconds = best_seconds(state, [&] {
    float* const x = pieces.next();
    copy(x, x + image.size());
    benchmark::ClobberMemory();
  });
  count_floats_moved(state, 2 * image.size(), seconds);
}

void time_transpose(benchmark::State& state, const Kernels& kernels, const Image& image) {
  const std::size_t rows = image.nchw ? image.channels : image.tokens, columns = image.size() / rows;
  time_copy(state, image, [&](const float* x, float* y) { kernels.transpose(x, columns, y, rows, rows, columns); });
}

void time_memcpy(benchmark::State& state, const Image& image) {
  time_copy(state, image, [&](const float* x, float* y) { std::memcpy(y, x, image.size() * sizeof(float)); });
}

}  // namespace

std::vector<KernelCase> statistics_cases() { return image_cases(time_statistics); }
std::vector<KernelCase> pack_cases() { return image_cases(time_pack); }
std::vector<KernelCase> add_residual_cases() { return image_cases(time_add_residual); }
std::vector<KernelCase> transpose_cases() {
  std::vector<KernelCase> cases = image_cases(time_transpose);
  for (std::size_t i = 0; i < cases.size(); ++i)
    cases[i].time_memcpy = [image = kImages[i]](benchmark::State& state) { time_memcpy(state, image); };
  return cases;
}

}  // namespace edgeattn::bench
