#pragma once

#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "edgeattn/io.h"
#include "edgeattn/plan.h"
#include "support.h"

namespace edgeattn::test {

class Dice {
 public:
  explicit Dice(std::uint64_t stream) : engine_(random_engine(stream)) {}

  std::size_t between(std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(engine_);
  }
  bool one_in(std::size_t chances) { return between(1, chances) == 1; }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return *(values.begin() + between(0, values.size() - 1));
  }
  std::mt19937_64& engine() { return engine_; }

 private:
  std::mt19937_64 engine_;
};

/// What is out of the ordinary about a case's numbers.
enum class Extreme : std::uint8_t {
  kNone,
  kConstantImage,     ///< one value everywhere: no variance
  kConstantChannels,  ///< a value of its own in each channel
  kOffset,            ///< mean 10⁴ deviations
  kSaturated,         ///< logits of up to ±10⁴ and more: the softmax saturates
  kDenormalInput,     ///< x of denormal numbers, or of some among others
  kDenormalWeights,   ///< in some of the tensors
  kHotChannel,        ///< one channel 10⁴ or 10⁶ times the others
  kTinyWeights,       ///< some of the tensors of scale 10⁻²⁰
  kHugeWeights,       ///< some of the tensors of scale 10¹⁵
};
inline constexpr std::size_t kExtremes = 10;
const char* to_string(Extreme extreme);

struct Case {
  Spec spec;
  Shape shape;
  PlanOptions options;
  double mean = 0;    ///< of the input, in deviations
  float gain = 1;     ///< on the weights of q and of k: scores grow with its square
  Extreme extreme = Extreme::kNone;
};

std::string describe(const Case& c);

/// Sizes below, around and far above one key block; any norm, layout, heads, threads and forced tiles.
Case random_case(Dice& dice);

/// The weights and the input of a case.
io::BlockWeights weights_of(const Case& c, Dice& dice, std::uint64_t stream);
std::vector<float> input_of(const Case& c, Dice& dice);

}  // namespace edgeattn::test
