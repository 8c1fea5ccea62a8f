#include <algorithm>
#include <cstddef>

#include "fused.h"
#include "kernels.h"
#include "panel_index.h"

namespace edgeattn {
namespace {

constexpr std::size_t kBlock = 16;

std::size_t padded(std::size_t count, std::size_t unit) { return (count + unit - 1) / unit * unit; }

/// x̂ of up to kBlock tokens and channels; zeros past the end of the strip.
class Block {
 public:
  Block(const PackStrip& strip, std::size_t first_token, std::size_t first_channel) {
    const std::size_t tokens = strip.tokens - std::min(strip.tokens, first_token);
    const std::size_t channels = strip.channels - std::min(strip.channels, first_channel);
    const float* x = strip.x + first_token * strip.token_stride + first_channel * strip.channel_stride;
    const float* const mean = strip.mean + first_channel;
    const float* const scale = strip.scale + first_channel;
    const float* const shift = strip.shift + first_channel;
    if (strip.token_stride == 1) {
      token_step_ = 1;
      for (std::size_t c = 0; c < std::min(kBlock, channels); ++c, x += strip.channel_stride)
        for (std::size_t t = 0; t < std::min(kBlock, tokens); ++t)
          values_[c * kBlock + t] = scalar::fused(x[t] - mean[c], scale[c], shift[c]);
    } else {
      token_step_ = kBlock;
      for (std::size_t t = 0; t < std::min(kBlock, tokens); ++t, x += strip.token_stride)
        for (std::size_t c = 0; c < std::min(kBlock, channels); ++c)
          values_[t * kBlock + c] = scalar::fused(x[c] - mean[c], scale[c], shift[c]);
    }
  }

  float at(std::size_t token, std::size_t channel) const {
    return values_[token * token_step_ + channel * (kBlock + 1 - token_step_)];
  }

 private:
  float values_[kBlock * kBlock] = {};
  std::size_t token_step_;
};

void zero_biases(const Panels& panels, std::size_t first_column, std::size_t columns) {
  for (std::size_t column = first_column; column < first_column + columns; column += panels.nr)
    std::fill_n(panels.data + column / panels.nr * panels.panel_stride, panels.nr, 0.0f);
}

template <bool kPlain>
void pack_strip(const PackStrip& strip) {
  const scalar::PanelIndex<kPlain> key_index(strip.keys);
  const scalar::PanelIndex<kPlain> value_index(strip.values);
  const bool with_keys = strip.keys.data != nullptr, with_values = strip.values.data != nullptr;
  const std::size_t key_columns = with_keys ? padded(strip.tokens, strip.keys.nr) : 0;
  const std::size_t key_depth = with_keys ? padded(strip.channels, key_index.group()) : 0;
  const std::size_t value_columns = with_values ? padded(strip.channels, strip.values.nr) : 0;
  const std::size_t value_depth = with_values ? padded(strip.tokens, value_index.group()) : 0;

  if (with_keys) zero_biases(strip.keys, strip.first_token, key_columns);
  if (with_values && strip.first_token == 0) zero_biases(strip.values, 0, value_columns);
  for (std::size_t t0 = 0; t0 < std::max(key_columns, value_depth); t0 += kBlock) {
    for (std::size_t c0 = 0; c0 < std::max(key_depth, value_columns); c0 += kBlock) {
      const Block block(strip, t0, c0);
      for (std::size_t t = t0; t < std::min(t0 + kBlock, key_columns); ++t) {
        const auto column = key_index.column(strip.first_token + t);
        for (std::size_t c = c0; c < std::min(c0 + kBlock, key_depth); ++c)
          strip.keys.data[key_index(c, column)] = block.at(t - t0, c - c0);
      }
      for (std::size_t c = c0; c < std::min(c0 + kBlock, value_columns); ++c) {
        const auto column = value_index.column(c);
        for (std::size_t t = t0; t < std::min(t0 + kBlock, value_depth); ++t)
          strip.values.data[value_index(strip.first_token + t, column)] = block.at(t - t0, c - c0);
      }
    }
  }
}

}  // namespace

void pack_scalar(const PackStrip& strip) { pack_strip<true>(strip); }
void pack_any_scalar(const PackStrip& strip) { pack_strip<false>(strip); }

}  // namespace edgeattn
