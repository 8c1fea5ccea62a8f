#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "attention_term.h"
#include "families.h"
#include "files.h"
#include "harness.h"
#include "oracle.h"

/// Attention blocks of real model families against their own modules (families/make.py).
namespace edgeattn::test {
namespace {

constexpr double kMostErrors = 2;  // of the module's own

const Family& family_called(std::string_view name) {
  const auto* const found = std::ranges::find(kFamilies, name, &Family::name);
  REQUIRE(found != std::end(kFamilies));
  return *found;
}

double largest_error(const std::vector<float>& y, const std::vector<double>& exact) {
  REQUIRE(y.size() == exact.size());
  double worst = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double error = std::fabs(y[i] - exact[i]);
    if (!(error <= worst)) worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
  }
  return worst;
}

/// The file of golden blocks.
class Golden {
 public:
  Golden() : path_(std::string(data_directory()) + "/families.safetensors"), bytes_(read_file(path_)) {
    REQUIRE_OK(io::SafetensorsFile::open(path_, file_));
  }

  [[nodiscard]] const io::SafetensorsFile& file() const { return file_; }

  [[nodiscard]] io::BlockWeights load(const Family& family) const {
    const std::string prefix = family.prefix();
    io::BlockWeights weights;
    REQUIRE_OK(io::load_block(file_, family.request(prefix), weights));
    return weights;
  }

  [[nodiscard]] const io::TensorInfo& tensor(const std::string& name) const {
    const io::TensorInfo* const info = file_.find(name);
    REQUIRE_MESSAGE(info != nullptr, name);
    return *info;
  }

  [[nodiscard]] Shape shape() const {
    const std::vector<std::size_t>& sizes = tensor("golden.x").shape;
    REQUIRE(sizes.size() == 4);
    return {sizes[0], sizes[2], sizes[3]};
  }

  [[nodiscard]] std::vector<float> input() const {
    std::vector<float> values;
    REQUIRE_OK(file_.read(tensor("golden.x"), values));
    return values;
  }

  /// In float64, which SafetensorsFile would round.
  [[nodiscard]] std::vector<double> output(const Family& family) const {
    const io::TensorInfo& info = tensor("golden." + family.name + ".y");
    REQUIRE(info.dtype == io::Dtype::kF64);
    std::vector<double> values(info.elements());
    std::memcpy(values.data(), bytes_.data() + info.offset, info.bytes);
    return values;
  }

  /// The largest error of the module's own float32 output.
  [[nodiscard]] double module_error(const Family& family) const {
    const auto found = std::ranges::find(file_.metadata(), family.name + ".error", &io::Metadata::value_type::first);
    REQUIRE(found != file_.metadata().end());
    return std::stod(found->second);
  }

  /// The relative rms error of edgeattn's attention term, in the promise of its precision; or in twice that, where scores are larger
  /// than the promise is for.
  [[nodiscard]] double reduced_error_ratio(const Family& family) const {
    const io::BlockWeights weights = load(family);
    const std::vector<float> x = input(), y = TestBlock(weights, shape(), {.threads = 2}).run(x);
    const ReducedBounds bounds = reduced_bounds(precision());
    const bool large = reference(weights, shape(), Layout::kNchw, x).largest_score > bounds.largest_score;
    return relative_rms_error(weights.spec, x, y, output(family)) / (bounds.on_random_data * (large ? 2 : 1));
  }

  /// The largest error of edgeattn, in those of the module.
  [[nodiscard]] double error_ratio(const Family& family) const {
    const std::vector<float> y = TestBlock(load(family), shape(), {.threads = 2}).run(input());
    return largest_error(y, output(family)) / module_error(family);
  }

 private:
  std::string path_, bytes_;
  io::SafetensorsFile file_;
};

TEST_CASE("families: every block is found, with its style") {
  const Golden golden;
  std::vector<io::BlockEntry> blocks;
  REQUIRE_OK(io::find_blocks(golden.file(), blocks));
  REQUIRE(blocks.size() == std::size(kFamilies));
  for (const Family& family : kFamilies) {
    const auto found = std::ranges::find(blocks, family.prefix(), &io::BlockEntry::prefix);
    REQUIRE_MESSAGE(found != blocks.end(), family.name);
    CHECK(found->style == family.style);
  }
}

TEST_CASE("families: blocks keep the promise of reduced precision") {
  if (precision() == Precision::kFloat32) return;
  const Golden golden;
  for (const Family& family : kFamilies) {
    CAPTURE(family.name);
    const double ratio = golden.reduced_error_ratio(family);
    CHECK(ratio <= 1);
    std::printf("%s: error %.2f of what %s promises\n", family.name.c_str(), ratio, to_string(precision()));
  }
}

TEST_CASE("families: blocks err at most twice as much as their own modules in float32") {
  if (precision() != Precision::kFloat32) return;
  const Golden golden;
  for (const Family& family : kFamilies) {
    CAPTURE(family.name);
    const double ratio = golden.error_ratio(family);
    CHECK(ratio <= kMostErrors);
    std::printf("%s: error %.2f of the module's own\n", family.name.c_str(), ratio);
  }
}

TEST_CASE("families: what no file tells makes a difference that the bound notices") {
  if (precision() != Precision::kFloat32) return;
  const Golden golden;
  const auto worse = [&](Family family, auto change) {
    CAPTURE(family.name);
    change(family);
    CHECK(golden.error_ratio(family) > 10 * kMostErrors);
  };
  worse(family_called("diffusers"), [](Family& family) { family.eps = 1e-5; });
  worse(family_called("diffusers"), [](Family& family) { family.residual = false; });
  worse(family_called("diffusers-rescaled"), [](Family& family) { family.rescale_output = 1; });
  worse(family_called("diffusers-4-heads"), [](Family& family) { family.heads = 1; });
  worse(family_called("compvis"), [](Family& family) { family.eps = 1e-5; });
  worse(family_called("guided-diffusion-4-heads-legacy"), [](Family& family) { family.order = io::QkvOrder::kNew; });
}

TEST_CASE("families: legacy and new rows of the same heads are the same weights") {
  const Golden golden;
  const Family& legacy = family_called("guided-diffusion-4-heads-legacy");
  const io::BlockWeights a = golden.load(legacy), b = golden.load(family_called("guided-diffusion-4-heads-new"));
  CHECK(a.qkv_weight == b.qkv_weight);
  CHECK(a.qkv_bias == b.qkv_bias);
  Family wrong = legacy;
  wrong.order = io::QkvOrder::kNew;
  CHECK(golden.load(wrong).qkv_weight != b.qkv_weight);
}

}  // namespace
}  // namespace edgeattn::test
