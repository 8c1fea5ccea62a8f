// The attention block of a diffusion UNet, one tensor operation at a time:
//
//     y = x + to_out(softmax(q kᵀ / √C) v)        q, k, v = split(to_qkv(norm(x)))
//
// Then the same by Block::run, which never holds the matrix of scores, and folds, tiles and fuses the steps below.
//
//     walkthrough BLOCKS.safetensors PREFIX ACTIVATIONS.safetensors TENSOR
//
// Letters are those of the shapes: B images, C channels, H by W pixels, N = H·W. Every pixel is a token: a row of C numbers.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "edgeattn/io.h"
#include "edgeattn/tensor.h"

using namespace edgeattn;
using Tensor = TensorView<float>;
using ConstTensor = TensorView<const float>;

static void check(const Status& status) {
  if (!status.ok()) std::exit((std::fprintf(stderr, "%s\n", status.message()), 1));
}

// Left to the end of the process. The library itself never allocates: whoever calls it brings the memory.
static std::span<std::byte> allocate(std::size_t bytes) {
  const std::size_t rounded = (bytes + Plan::kAlignment - 1) / Plan::kAlignment * Plan::kAlignment;
  return {static_cast<std::byte*>(std::aligned_alloc(Plan::kAlignment, rounded)), bytes};
}

static Tensor new_tensor(const Dims& sizes) {
  TensorLayout layout;
  check(lay_out(sizes, layout));
  return {reinterpret_cast<float*>(allocate(layout.elements() * sizeof(float)).data()), layout};
}

static void show(const char* step, const ConstTensor& tensor, const char* what) {
  std::string shape;
  for (std::size_t d = 0; d < tensor.rank(); ++d) shape += (d > 0 ? ", " : "[") + std::to_string(tensor.size(d));
  std::printf("  %-10s %-18s %s\n", step, (shape + "]").c_str(), what);
}

// a·b of each image: first the bytes are planned, then an operator is bound to them, then it runs.
static Tensor product(const ConstTensor& a, const ConstTensor& b, const Gemm& gemm) {
  BmmPlan memory;
  check(plan(BmmShape{.rows = a.size(1), .inner = a.size(2), .columns = b.size(2)}, gemm, memory));
  Bmm bound;
  check(edgeattn::bind(memory, allocate(memory.persistent_bytes), allocate(memory.scratch_bytes), bound));
  const Tensor out = new_tensor({a.size(0), a.size(1), b.size(2)});
  check(bmm(a, b, out, bound));
  return out;
}

// GroupNorm: every group of channels of an image gets mean 0 and variance 1, then every channel its own weight and bias.
static Tensor group_norm(const ConstTensor& x, const io::BlockWeights& weights) {
  const std::size_t images = x.size(0), channels = x.size(1), groups = weights.spec.groups;
  const Tensor normalized = new_tensor(x.sizes());
  ConstTensor in;
  Tensor out;
  check(view(x, {images, groups, channels / groups, -1}, in));
  check(view(normalized, {images, groups, channels / groups, -1}, out));
  for (std::size_t b = 0; b < images; ++b) {
    for (std::size_t g = 0; g < groups; ++g) {
      const auto for_group = [&](auto body) {
        for (std::size_t c = 0; c < in.size(2); ++c)
          for (std::size_t n = 0; n < in.size(3); ++n) body(c, n);
      };
      const auto count = static_cast<double>(in.size(2) * in.size(3));
      double mean = 0, variance = 0;
      for_group([&](std::size_t c, std::size_t n) { mean += in(b, g, c, n) / count; });
      for_group([&](std::size_t c, std::size_t n) { variance += std::pow(in(b, g, c, n) - mean, 2) / count; });
      const double scale = 1 / std::sqrt(variance + weights.spec.eps);
      for_group([&](std::size_t c, std::size_t n) {
        const std::size_t channel = g * in.size(2) + c;
        const double value = (in(b, g, c, n) - mean) * scale;
        out(b, g, c, n) = static_cast<float>(value * weights.norm_weight[channel] + weights.norm_bias[channel]);
      });
    }
  }
  return normalized;
}

// A 1x1 convolution of x [B, C, H, W] is a matrix product over the channels, the same for every pixel: W [O, C] times [C, N].
static Tensor convolve(const std::vector<float>& weight, const std::vector<float>& bias, const ConstTensor& x, const Gemm& gemm) {
  const std::size_t images = x.size(0), inputs = x.size(1), outputs = weight.size() / inputs;
  ConstTensor matrix, pixels;
  check(wrap(weight, {images, outputs, inputs}, {0, inputs, 1}, matrix));  // a stride of 0: all images share one matrix
  check(view(x, {images, inputs, -1}, pixels));
  Tensor y = product(matrix, pixels, gemm);
  for (std::size_t b = 0; b < images; ++b)
    for (std::size_t o = 0; o < outputs && !bias.empty(); ++o)
      for (std::size_t n = 0; n < y.size(2); ++n) y(b, o, n) += bias[o];
  check(view(y, {images, outputs, x.size(2), x.size(3)}, y));
  return y;
}

static Tensor walk(const ConstTensor& x, const io::BlockWeights& weights, const Gemm& gemm) {
  const std::size_t images = x.size(0), channels = x.size(1), height = x.size(2), width = x.size(3);
  const std::size_t pixels = height * width;
  show("x", x, "what the UNet hands over: B, C, H, W");

  const Tensor normalized = group_norm(x, weights);
  show("norm", normalized, "each group of channels with mean 0 and variance 1");

  const Tensor qkv = convolve(weights.qkv_weight, weights.qkv_bias, normalized, gemm);
  show("to_qkv", qkv, "three projections in one product: B, 3C, H, W");

  Tensor parts[3];
  check(split(qkv, channels, 1, parts));
  show("split", parts[0], "q, k and v: what a pixel asks, offers, and hands on");

  for (Tensor& part : parts) check(permute(part, {0, 2, 3, 1}, part));
  show("permute", parts[0], "channels last; nothing moves, strides swap");

  for (Tensor& part : parts) check(view(part, {images, pixels, channels}, part));
  show("view", parts[0], "a row for each pixel; still the memory of to_qkv");

  const auto& [q, k, v] = parts;
  Tensor k_columns;
  check(transpose(k, 1, 2, k_columns));
  show("transpose", k_columns, "k with a column for each pixel");

  const Tensor scores = product(q, k_columns, gemm);
  show("bmm", scores, "how well each pixel's q fits every k: B, N, N");

  const float scale = 1 / std::sqrt(static_cast<float>(channels));
  for (float& score : std::span(scores.data(), scores.elements())) score *= scale;
  show("scale", scores, "by 1/√C, so that scores do not grow with C");

  check(softmax(scores, -1, scores));
  show("softmax", scores, "each row positive with sum 1: shares of attention");

  Tensor mixed = product(scores, v, gemm);
  show("bmm", mixed, "each pixel's mean of all v, by its shares");

  check(view(mixed, {images, height, width, channels}, mixed));
  show("view", mixed, "rows are pixels again");

  check(permute(mixed, {0, 3, 1, 2}, mixed));
  show("permute", mixed, "and channels come first again");

  const Tensor y = convolve(weights.out_weight, weights.out_bias, mixed, gemm);
  show("to_out", y, "the last projection");

  for (std::size_t i = 0; i < y.elements(); ++i) y.data()[i] += x.data()[i];
  show("residual", y, "plus x: what attention adds is a correction");
  return y;
}

// The same by the library's block: planned, prepared, bound, run.
static Tensor run_block(const ConstTensor& x, const io::BlockWeights& weights, const Gemm& gemm, Plan& memory) {
  const Machine machine = detect_machine();
  check(plan(weights.spec, {.batch = x.size(0), .height = x.size(2), .width = x.size(3)}, {}, machine, gemm, memory));
  Prepared prepared;
  check(prepare(weights.spec, weights.view(), machine, gemm, allocate(memory.prepared_bytes), prepared));
  Block block;
  check(edgeattn::bind(memory, prepared, allocate(memory.persistent_bytes), allocate(memory.scratch_bytes), nullptr, block));
  const Tensor y = new_tensor(x.sizes());
  check(block.run(x.data(), y.data()));
  return y;
}

int main(int count, char** arguments) {
  if (count != 5) {
    std::fprintf(stderr, "usage: walkthrough BLOCKS.safetensors PREFIX ACTIVATIONS.safetensors TENSOR\n");
    return 2;
  }
  const std::string prefix = arguments[2];
  io::SafetensorsFile blocks, activations;
  io::BlockWeights weights;
  check(io::SafetensorsFile::open(arguments[1], blocks));
  check(io::load_block(blocks, {.prefix = &prefix}, weights));
  check(io::SafetensorsFile::open(arguments[3], activations));
  const io::TensorInfo* const input = activations.find(arguments[4]);
  if (input == nullptr || input->shape.size() != 4 || weights.spec.norm != Norm::kGroup || weights.qkv_weight.empty()) {
    std::fprintf(stderr, "expected a tensor '%s' [B, C, H, W] in %s, and a block with a GroupNorm, as trained\n", arguments[4],
                 arguments[3]);
    return 1;
  }
  std::vector<float> values;
  check(activations.read(*input, values));
  ConstTensor x;
  check(wrap(values, input->shape, x));
  Gemm gemm;
  check(gemm_traits(detect_machine(), gemm));

  std::printf("block '%s', step by step on %s\n\n", prefix.c_str(), arguments[4]);
  const Tensor walked = walk(x, weights, gemm);
  Plan memory;
  const Tensor run = run_block(x, weights, gemm, memory);

  double largest = 0;
  for (std::size_t i = 0; i < run.elements(); ++i) {
    const double difference = std::fabs(double{walked.data()[i]} - double{run.data()[i]});
    if (!(difference <= largest)) largest = difference;  // a NaN counts too
  }
  constexpr double kLimit = 2e-6;
  std::printf("\nBlock::run gives the same from %zu bytes of scratch: they differ by %.2g at most\n", memory.scratch_bytes,
              largest);
  return largest <= kLimit ? 0 : 1;
}
