#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "attention_term.h"
#include "harness.h"

/// The trained digits UNet's blocks on what the network saw, against outputs computed in float64.
namespace edgeattn::test {
namespace {

constexpr double kLargestError = 2e-6;

TEST_CASE("trained blocks on real activations") {
  const std::string directory = data_directory();
  io::SafetensorsFile weights_file, activations;
  REQUIRE_OK(io::SafetensorsFile::open(directory + "/digits-blocks.safetensors", weights_file));
  REQUIRE_OK(io::SafetensorsFile::open(directory + "/digits-activations.safetensors", activations));
  std::vector<io::BlockEntry> blocks;
  REQUIRE_OK(io::find_blocks(weights_file, blocks));
  REQUIRE(blocks.size() == 2);
  double largest = 0;
  for (const io::BlockEntry& entry : blocks) {
    io::BlockWeights weights;
    REQUIRE_OK(io::load_block(weights_file, {.prefix = &entry.prefix}, weights));
    for (const char* step : {"step199", "step100", "step0"}) {
      const std::string name = entry.prefix + step;
      CAPTURE(name);
      const io::TensorInfo* const input = activations.find(name + ".input");
      const io::TensorInfo* const output = activations.find(name + ".output");
      REQUIRE(input != nullptr);
      REQUIRE(output != nullptr);
      std::vector<float> x, expected;
      REQUIRE_OK(activations.read(*input, x));
      REQUIRE_OK(activations.read(*output, expected));
      const Shape shape{input->shape[0], input->shape[2], input->shape[3]};
      for (std::size_t threads : {1u, 2u}) {
        const std::vector<float> y = TestBlock(weights, shape, {.threads = threads}).run(x);
        if (precision() != Precision::kFloat32) {
          const double error = relative_rms_error(weights.spec, x, y, expected);
          CHECK(error <= reduced_bounds(precision()).on_real_data);
          largest = std::max(largest, error);
          continue;
        }
        double worst = 0;
        for (std::size_t i = 0; i < y.size(); ++i) {
          const double error = std::fabs(double{y[i]} - expected[i]);
          if (!(error <= worst)) worst = error;
        }
        CHECK(worst <= kLargestError);
        largest = std::max(largest, worst);
      }
    }
  }
  std::printf("trained blocks: largest %serror %.2e\n", precision() == Precision::kFloat32 ? "" : "relative rms ", largest);
}

}  // namespace
}  // namespace edgeattn::test
