#include "unet.h"

#include <algorithm>
#include <array>

namespace sampler {
namespace {

constexpr std::size_t kLarge = Unet::kSide, kSmall = kLarge / 2;
constexpr std::size_t kChannels = 64;

enum AttentionPlace : std::size_t { kA0, kA1, kAm, kB1, kB0 };

std::array<Attention::Place, 5> attention_places() {
  return {{{"a0.", kLarge}, {"a1.", kSmall}, {"am.", kSmall}, {"b1.", kSmall}, {"b0.", kLarge}}};
}

/// out = the channels of a, then those of b; pixel by pixel.
void join(const Maps& a, const Maps& b, const Maps& out) {
  for (std::size_t p = 0; p < out.images * out.pixels(); ++p) {
    float* const joined = out.values + p * out.channels;
    std::copy_n(a.values + p * a.channels, a.channels, joined);
    std::copy_n(b.values + p * b.channels, b.channels, joined + a.channels);
  }
}

/// Every pixel becomes two by two.
void enlarge(const Maps& in, const Maps& out) {
  for (std::size_t i = 0; i < out.images; ++i)
    for (std::size_t h = 0; h < out.side; ++h)
      for (std::size_t w = 0; w < out.side; ++w)
        std::copy_n(in.image(i) + (h / 2 * in.side + w / 2) * in.channels, in.channels,
                    out.image(i) + (h * out.side + w) * out.channels);
}

}  // namespace

Unet::Unet(const edgeattn::io::SafetensorsFile& file, std::size_t images, edgeattn::Precision precision, std::size_t threads,
           pthreadpool_t pool)
    : memory_(images),
      pool_(pool),
      attention_(file, attention_places(), images, precision, threads, pool),
      embedding_(file, images),
      images_(memory_.make(kLarge, 1)),
      predicted_(memory_.make(kLarge, 1)),
      large_(memory_.make(kLarge, kChannels)),
      large_kept_(memory_.make(kLarge, kChannels)),
      large_joined_(memory_.make(kLarge, 2 * kChannels)),
      small_in_(memory_.make(kSmall, kChannels)),
      small_kept_(memory_.make(kSmall, 2 * kChannels)),
      small_(memory_.make(kSmall, 2 * kChannels)),
      small_middle_(memory_.make(kSmall, 2 * kChannels)),
      small_joined_(memory_.make(kSmall, 4 * kChannels)),
      scratch_{.normalized = memory_.make(kLarge, 2 * kChannels), .hidden = memory_.make(kLarge, kChannels)},
      normalized_(MapMemory::reuse(scratch_.normalized, kLarge, kChannels)),
      conv_in_(file, "conv_in", 3, 1, images_, large_, pool),
      down_(file, "down", 3, 2, large_kept_, small_in_, pool),
      up_(file, "up", 3, 1, large_joined_, large_, pool),
      conv_out_(file, "conv_out", 3, 1, normalized_, predicted_, pool),
      d0_(file, "d0", large_, large_kept_, scratch_, pool),
      d1_(file, "d1", small_in_, small_kept_, scratch_, pool),
      m0_(file, "m0", small_kept_, small_, scratch_, pool),
      m1_(file, "m1", small_, small_middle_, scratch_, pool),
      u1_(file, "u1", small_joined_, small_, scratch_, pool),
      u0_(file, "u0", large_joined_, large_, scratch_, pool),
      norm_out_(file, "norm_out", kChannels) {}

const Maps& Unet::run(std::size_t t) {
  const float* const embedding = embedding_.run(t);
  conv_in_.run();
  d0_.run(embedding);
  attention_.run(kA0, large_kept_);

  down_.run();
  d1_.run(embedding);
  attention_.run(kA1, small_kept_);

  m0_.run(embedding);
  attention_.run(kAm, small_);
  m1_.run(embedding);

  join(small_middle_, small_kept_, small_joined_);
  u1_.run(embedding);
  attention_.run(kB1, small_);

  enlarge(small_, large_joined_);
  up_.run();
  join(large_, large_kept_, large_joined_);
  u0_.run(embedding);
  attention_.run(kB0, large_);

  norm_out_.run(large_, nullptr, normalized_, pool_);
  conv_out_.run();
  return predicted_;
}

}  // namespace sampler
