#include "random_case.h"

#include <cmath>
#include <cstdio>
#include <numbers>

#include "harness.h"

namespace edgeattn::test {
namespace {

std::size_t random_divisor(Dice& dice, std::size_t number) {
  std::vector<std::size_t> divisors;
  for (std::size_t d = 1; d <= number; ++d)
    if (number % d == 0) divisors.push_back(d);
  return divisors[dice.between(0, divisors.size() - 1)];
}

void scale(std::span<float> values, float factor) {
  for (float& value : values) value *= factor;
}

/// Some of the tensors, at least one of them not empty, times `factor`; q, k and v are three.
void scale_some(io::BlockWeights& weights, Dice& dice, float factor) {
  const std::size_t square = weights.spec.channels * weights.spec.channels;
  std::span<float> tensors[] = {weights.norm_weight, weights.norm_bias,  weights.qkv_bias, weights.out_bias,
                                weights.out_weight,  weights.qkv_weight, {},               {}};
  for (std::size_t i = 0; i < 3; ++i) tensors[5 + i] = std::span(weights.qkv_weight).subspan(i * square, square);
  scale(tensors[dice.between(4, 7)], factor);
  for (const std::span<float> tensor : tensors)
    if (dice.one_in(3)) scale(tensor, factor);
}

}  // namespace

const char* to_string(Extreme extreme) {
  constexpr const char* kNames[] = {"ordinary",         "constant image", "constant channels", "offset",       "saturated",
                                    "denormal input",   "denormal weights", "hot channel",     "tiny weights", "huge weights"};
  static_assert(std::size(kNames) == kExtremes);
  return kNames[static_cast<std::size_t>(extreme)];
}

std::string describe(const Case& c) {
  char text[320];
  std::snprintf(text, sizeof text, "C%zu %s groups %zu heads %zu B%zu %zux%zu %s threads %zu tile %zu,%zu budget %zu mean %g gain %g%s, %s",
                c.spec.channels, to_string(c.spec.norm), c.spec.groups, c.spec.heads, c.shape.batch, c.shape.height, c.shape.width,
                to_string(c.options.layout), c.options.threads, c.options.query_tile, c.options.key_block,
                c.options.scratch_budget_bytes, c.mean, static_cast<double>(c.gain), c.spec.residual ? "" : " no residual",
                to_string(c.extreme));
  return text;
}

Case random_case(Dice& dice) {
  Case c;
  const std::size_t regime = dice.between(0, 19);
  if (regime < 14) {  // small images, any width
    c.spec.channels = dice.between(1, 150);
    c.shape = {dice.between(1, 3), dice.between(1, 9), dice.between(1, 9)};
  } else if (regime < 18) {  // around one key block
    c.spec.channels = dice.between(1, 48);
    c.shape = {dice.between(1, 2), dice.between(15, sample() ? 19 : 24), dice.between(15, sample() ? 19 : 24)};
  } else {  // several key blocks
    c.spec.channels = dice.between(1, 20);
    c.shape = {1, dice.between(25, sample() ? 28 : 36), dice.between(25, sample() ? 28 : 36)};
  }
  c.spec.norm = dice.one_of({Norm::kGroup, Norm::kGroup, Norm::kInstance, Norm::kBatch, Norm::kNone});
  c.spec.groups = random_divisor(dice, c.spec.channels);
  c.spec.heads = dice.between(0, 2) == 0 ? random_divisor(dice, c.spec.channels) : 1;
  c.spec.eps = dice.one_of({1e-5, 1e-6, 1e-3});
  c.spec.residual = dice.between(0, 7) != 0;
  c.options.layout = dice.one_of({Layout::kNchw, Layout::kNhwc});
  c.options.threads = dice.between(1, 4);
  if (dice.one_in(3)) c.options.query_tile = dice.between(4, 70);
  if (dice.one_in(3)) c.options.key_block = dice.between(1, 200);
  c.spec.scale = dice.one_of({0.0, 0.0, 0.5, 1.0}) / std::sqrt(static_cast<double>(c.spec.head_channels()));
  c.mean = c.spec.norm == Norm::kNone ? dice.one_of({0.0, 0.5}) : dice.one_of({0.0, 0.0, 3.0, 1e4});
  c.spec.rescale_output = dice.one_of({1.0, 1.0, std::numbers::sqrt2, 0.3});
  if (dice.one_in(2)) c.extreme = static_cast<Extreme>(dice.between(1, kExtremes - 1));
  if (c.extreme == Extreme::kOffset) c.mean = 1e4;
  if (c.extreme == Extreme::kSaturated) c.gain = dice.one_of({10.0f, 30.0f, 100.0f});
  return c;
}

io::BlockWeights weights_of(const Case& c, Dice& dice, std::uint64_t stream) {
  io::BlockWeights weights = random_weights(c.spec, stream);
  scale(std::span(weights.qkv_weight).first(2 * c.spec.channels * c.spec.channels), c.gain);
  for (float& mean : weights.running_mean) mean += static_cast<float>(c.mean);
  if (c.extreme == Extreme::kDenormalWeights) scale_some(weights, dice, 1e-40f);
  if (c.extreme == Extreme::kTinyWeights) scale_some(weights, dice, 1e-20f);
  if (c.extreme == Extreme::kHugeWeights) scale_some(weights, dice, 1e15f);
  return weights;
}

std::vector<float> input_of(const Case& c, Dice& dice) {
  const std::size_t tokens = c.shape.tokens(), channels = c.spec.channels;
  std::vector<float> x = normal_values(dice.engine(), c.shape.batch * channels * tokens, c.mean);
  const auto for_channel = [&](std::size_t channel, auto change) {
    for (std::size_t b = 0; b < c.shape.batch; ++b)
      for (std::size_t n = 0; n < tokens; ++n)
        change(x[b * channels * tokens + (c.options.layout == Layout::kNchw ? channel * tokens + n : n * channels + channel)]);
  };
  const float factor = dice.one_of({1e-3f, 1.0f, 1e3f});
  switch (c.extreme) {
    case Extreme::kConstantImage: std::fill(x.begin(), x.end(), dice.one_of({0.0f, 1.0f, -3.3f, 1e6f, 1e-20f})); break;
    case Extreme::kConstantChannels:
      for (std::size_t channel = 0; channel < channels; ++channel)
        for_channel(channel, [value = x[channel]](float& v) { v = value; });
      break;
    case Extreme::kOffset:
      if (c.spec.norm == Norm::kGroup || c.spec.norm == Norm::kInstance) scale(x, factor);
      break;
    case Extreme::kDenormalInput:
      for (float& value : x) value *= dice.one_in(4) ? factor : 1e-39f;
      break;
    case Extreme::kHotChannel:
      for_channel(dice.between(0, channels - 1), [hot = dice.one_of({1e4f, 1e6f})](float& v) { v *= hot; });
      break;
    default: break;
  }
  return x;
}

}  // namespace edgeattn::test
