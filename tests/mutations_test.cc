#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "families.h"
#include "files.h"
#include "harness.h"
#include "mutant.h"
#include "oracle.h"

/// No wrong number from a weights file that was tampered with: golden blocks of every family, mutated at random, are refused or
/// mean what they are read as.
namespace edgeattn::test {
namespace {

constexpr std::size_t kCases = 10000;
constexpr Shape kShape{.height = 3, .width = 4};

/// The golden file, all in float32 but for the outputs.
struct Golden {
  Golden() : bytes(read_file(std::string(data_directory()) + "/families.safetensors")) {
    REQUIRE_OK(io::SafetensorsFile::parse(bytes_of(bytes), "families", file));
  }

  [[nodiscard]] FileTensors block(const Family& family) const {
    FileTensors tensors;
    for (const io::TensorInfo& info : file.tensors()) {
      if (!info.name.starts_with(family.prefix())) continue;
      std::vector<float> values;
      REQUIRE_OK(file.read(info, values));
      tensors[info.name.substr(family.prefix().size())] = {"F32", info.shape, {values.begin(), values.end()}};
    }
    return tensors;
  }
  [[nodiscard]] std::vector<float> read(const std::string& name) const {
    std::vector<float> values;
    REQUIRE_OK(file.read(*file.find(name), values));
    return values;
  }

  std::string bytes;
  io::SafetensorsFile file;
};

Mutant original(const Golden& golden, const Family& family) {
  Mutant mutant;
  mutant.block = golden.block(family);
  mutant.prefix = family.prefix();
  mutant.residual = family.residual;
  mutant.asked = {.groups = kFamilyGroups,
                  .eps = family.eps,
                  .heads = family.heads,
                  .order = family.order,
                  .rescale_output = family.rescale_output};
  return mutant;
}

Status load(const Mutant& mutant, const io::SafetensorsFile& file, io::BlockWeights& weights) {
  const Asked& asked = mutant.asked;
  return io::load_block(file,
                        {.prefix = mutant.say_prefix ? &mutant.prefix : nullptr,
                         .norm = asked.norm ? &*asked.norm : nullptr,
                         .groups = asked.groups,
                         .eps = asked.eps,
                         .heads = asked.heads,
                         .qkv_order = asked.order,
                         .residual = &mutant.residual,
                         .rescale_output = asked.rescale_output},
                        weights);
}

/// Whether what was read is what the file means: first of all the output, by the formula in float64.
bool same(const io::BlockWeights& read, const io::BlockWeights& meant, const std::vector<float>& x) {
  if (read.prefix != meant.prefix || read.style != meant.style || read.assumed != meant.assumed || !(read.spec == meant.spec))
    return false;
  io::ExactOutput output;
  REQUIRE_OK(io::exact_output(read, kShape, Layout::kNchw, x, nullptr, output));
  const std::vector<double> exact = reference(meant, kShape, Layout::kNchw, x).exact;
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    worst = std::max(worst, std::fabs(output.y[i] - exact[i]));
    largest = std::max(largest, std::fabs(exact[i]));
  }
  return worst <= 1e-9 * largest && same_bits(read.norm_weight, meant.norm_weight) &&
         same_bits(read.norm_bias, meant.norm_bias) && same_bits(read.running_mean, meant.running_mean) &&
         same_bits(read.running_var, meant.running_var) && same_bits(read.qkv_weight, meant.qkv_weight) &&
         same_bits(read.qkv_bias, meant.qkv_bias) && same_bits(read.out_weight, meant.out_weight) &&
         same_bits(read.out_bias, meant.out_bias);
}

struct Tally {
  std::size_t right = 0, refused = 0;
};

TEST_CASE("mutations: what golden files mean is what their modules compute") {
  const Golden golden;
  const std::vector<float> x = golden.read("golden.x");
  const std::vector<std::size_t>& sizes = golden.file.find("golden.x")->shape;
  for (const Family& family : kFamilies) {
    CAPTURE(family.name);
    const std::optional<io::BlockWeights> meant = meaning(original(golden, family));
    REQUIRE(meant);
    CHECK(meant->style == family.style);
    const std::vector<double> exact = reference(*meant, {sizes[0], sizes[2], sizes[3]}, Layout::kNchw, x).exact;
    const std::vector<float> y = golden.read("golden." + family.name + ".y");
    REQUIRE(y.size() == exact.size());
    double worst = 0;
    for (std::size_t i = 0; i < y.size(); ++i) worst = std::max(worst, std::fabs(y[i] - exact[i]));
    CHECK(worst < 1e-6);
  }
}

TEST_CASE("mutations: a changed file is refused, or read as what it means") {
  const Golden golden;
  const std::vector<float> all = golden.read("golden.x");
  const std::size_t channels = golden.file.find("golden.x")->shape[1];
  const std::vector<float> x(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(channels * kShape.tokens()));
  std::vector<Mutant> originals;
  for (const Family& family : kFamilies) originals.push_back(original(golden, family));
  std::map<std::string, Tally> tallies;
  const std::size_t count = cases().value_or(kCases);
  for (std::uint64_t stream = first_case(); count == 0 || stream < first_case() + count; ++stream) {
    std::mt19937_64 engine = random_engine(stream);
    const auto chosen = static_cast<std::size_t>(stream % originals.size());
    Mutant mutant = originals[chosen];
    // One mutation of two, two of four, rarely more: they must leave something to be read.
    std::vector<const char*> applied;
    while (applied.empty() || (applied.size() < 4 && engine() % 2 == 0)) {
      const Mutation& mutation = kMutations[static_cast<std::size_t>(engine() % kMutations.size())];
      if (!mutant.block.empty() && mutation.apply(mutant, engine)) applied.push_back(mutation.name);
      else if (mutant.block.empty()) break;
    }
    const std::string bytes = encode(mutant.file());
    io::SafetensorsFile file;
    REQUIRE_OK(io::SafetensorsFile::parse(bytes_of(bytes), "mutant", file));
    io::BlockWeights read;
    const Status status = load(mutant, file, read);
    const std::optional<io::BlockWeights> meant = meaning(mutant);
    const bool right = status.ok() ? meant && same(read, *meant, x) : !meant;
    for (const char* name : applied) ++(status.ok() ? tallies[name].right : tallies[name].refused);
    INFO("--first-case=", stream, " --cases=1: ", originals[chosen].prefix, mutant.history, " ",
         std::string(status.ok() ? "read" : status.message()), std::string(meant ? ", means something" : ", means nothing"));
    CHECK(right);
  }
  std::size_t right = 0;
  for (const auto& [name, tally] : tallies) {
    std::printf("%-22s %5zu read right, %5zu refused\n", name.c_str(), tally.right, tally.refused);
    right += tally.right;
  }
  CHECK(right > count / 10);
  if (count >= 1000) CHECK(tallies.size() == kMutations.size());
}

}  // namespace
}  // namespace edgeattn::test
