#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <string>
#include <tuple>

#include "edgeattn/io.h"
#include "files.h"
#include "support.h"
#include "weights_file.h"

using namespace edgeattn;
using namespace edgeattn::test;
using io::BlockWeights;
using io::SafetensorsFile;

TEST_CASE("blocks: ddpm weights arrive where they belong") {
  WeightsFile weights;
  weights.add_ddpm("mid.attn.");
  weights.add("other", {3});
  const Opened opened(weights);
  BlockWeights block;
  REQUIRE(std::string(Request{}.load(opened.file, block).message()) == "");
  CHECK(block.prefix == "mid.attn.");
  CHECK(block.style == "ddpm");
  CHECK(block.spec == Spec{.channels = kChannels, .norm = Norm::kGroup, .groups = 2, .eps = 1e-5});
  check_values(block);
  const Weights view = block.view();
  CHECK(view.norm_weight == block.norm_weight.data());
  CHECK(view.norm_bias == block.norm_bias.data());
  CHECK(view.qkv_weight == block.qkv_weight.data());
  CHECK(view.qkv_bias == block.qkv_bias.data());
  CHECK(view.out_weight == block.out_weight.data());
  CHECK(view.out_bias == block.out_bias.data());
  CHECK(view.running_mean == nullptr);
  CHECK(view.running_var == nullptr);
}

TEST_CASE("blocks: what a file may hold, and what comes of it") {
  struct Row {
    const char* name;
    std::function<void(WeightsFile&)> edit;
    Request request;
    Norm norm;
  };
  const auto no_norm = [](WeightsFile& weights) {
    weights.remove("norm.weight");
    weights.remove("norm.bias");
  };
  const auto running = [](WeightsFile& weights) { weights.add_running(""); };
  const Row rows[] = {
      {"as it is", [](WeightsFile&) {}, {}, Norm::kGroup},
      {"empty prefix, said so", [](WeightsFile&) {}, {.prefix = ""}, Norm::kGroup},
      {"rank 2", [](WeightsFile& w) { w.add("to_qkv.weight", {12, 4}); w.add("to_out.weight", {4, 4}); }, {},
       Norm::kGroup},
      {"rank 3", [](WeightsFile& w) { w.add("to_qkv.weight", {12, 4, 1}); w.add("to_out.weight", {4, 4, 1}); }, {},
       Norm::kGroup},
      {"no biases", [](WeightsFile& w) { w.remove("to_qkv.bias"); w.remove("to_out.bias"); }, {}, Norm::kGroup},
      {"in has the keys of gn", [](WeightsFile&) {}, {.norm = Norm::kInstance, .groups = 3}, Norm::kInstance},
      {"gn, said so", [](WeightsFile&) {}, {.norm = Norm::kGroup}, Norm::kGroup},
      {"running statistics mean bn", running, {.groups = 3}, Norm::kBatch},
      {"bn, said so", running, {.norm = Norm::kBatch}, Norm::kBatch},
      {"num_batches_tracked alone says nothing", [](WeightsFile& w) { w.add("norm.num_batches_tracked", {}); }, {},
       Norm::kGroup},
      {"none, said so", no_norm, {.norm = Norm::kNone}, Norm::kNone},
      {"eps", [](WeightsFile&) {}, {.eps = 1e-6}, Norm::kGroup},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.name));
    WeightsFile weights;
    weights.add_ddpm("");
    row.edit(weights);
    const Opened opened(weights);
    BlockWeights block;
    CHECK(std::string(row.request.load(opened.file, block).message()) == "");
    CHECK(block.spec.norm == row.norm);
    CHECK(block.spec.eps == (row.request.eps == 0 ? 1e-5 : row.request.eps));
    const Weights view = block.view();
    CHECK((view.running_mean != nullptr) == (row.norm == Norm::kBatch));
    CHECK((view.running_var != nullptr) == (row.norm == Norm::kBatch));
    CHECK((view.norm_weight != nullptr) == (row.norm != Norm::kNone));
    CHECK((view.qkv_bias != nullptr) == (opened.file.find("to_qkv.bias") != nullptr));
    CHECK((view.out_bias != nullptr) == (opened.file.find("to_out.bias") != nullptr));
  }
}

TEST_CASE("blocks: bad files and requests are named") {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr std::size_t kWraps = std::numeric_limits<std::size_t>::max() / 3 + 1;  // 3C is 2
  const std::string wrapped_shape = "given [0, " + std::to_string(kWraps) + "]";
  struct Row {
    std::function<void(WeightsFile&)> edit;
    Request request;
    StatusCode code;
    const char* message;
  };
  const auto as_is = [](WeightsFile&) {};
  const auto shaped = [](const char* name, const Sizes& shape) { return [=](WeightsFile& w) { w.add(name, shape); }; };
  const auto without = [](const char* name) { return [=](WeightsFile& w) { w.remove(name); }; };
  const auto holding = [](const char* name, std::size_t index, float value) {
    return [=](WeightsFile& w) {
      w.add_running("a.");
      w.values(name)[index] = value;
    };
  };
  const auto running = [](WeightsFile& w) { w.add_running("a."); };
  const auto second = [](WeightsFile& w) { w.add_ddpm("b."); };
  const auto many = [](WeightsFile& w) {
    for (int i = 100; i < 200; ++i) w.add_ddpm("block" + std::to_string(i) + '.');
  };
  const auto hostile_name = [](WeightsFile& w) { w.add_ddpm("\\n\\u001b."); };
  const auto only_other = [](WeightsFile& w) {
    w = {};
    w.add("conv.weight", {3});
  };
  const StatusCode kFormat = StatusCode::kFormat;
  const StatusCode kInvalid = StatusCode::kInvalidArgument;
  const StatusCode kNotFound = StatusCode::kNotFound;
  const Row rows[] = {
      // Which block
      {second, {}, kNotFound, "f: expected a prefix, because the file has 2 blocks: 'a.', 'b.'"},
      {many, {}, kNotFound, "101 blocks: 'a.', 'block100.'"},
      {many, {}, kNotFound, " more)"},
      {hostile_name, {}, kNotFound, "2 blocks: '\?\?.', 'a.'"},
      {as_is, {.prefix = "b."}, kNotFound, "f: no block has prefix 'b.'; those with one: 'a.'"},
      {as_is, {.prefix = ""}, kNotFound, "no block has prefix ''; those with one: 'a.'"},
      {as_is, {.prefix = "a"}, kNotFound, "no block has prefix 'a'; those with one: 'a.'"},
      {as_is, {.prefix = "a\n."}, kNotFound, "no block has prefix 'a?.'"},
      {many, {.prefix = "x."}, kNotFound, "'block100.'"},
      {only_other, {}, kNotFound, "f: expected an attention block, found none (a tensor that ends with to_qkv.weight, to_q.weight, "
       "query.weight, q.weight, qkv.weight or score.weight)"},
      {only_other, {.prefix = "a."}, kNotFound, "no block has prefix 'a.', nor any other"},
      // Missing tensors
      {without("a.norm.weight"), {}, kNotFound, "tensor 'a.norm.weight': is missing, expected shape [4]"},
      {without("a.norm.bias"), {}, kNotFound, "tensor 'a.norm.bias': is missing"},
      {[](WeightsFile& w) { w.remove("a.norm.weight"); w.remove("a.norm.bias"); }, {}, kNotFound,
       "tensor 'a.norm.weight': is missing, expected shape [4]; for a block that has no norm say --norm none"},
      {without("a.to_out.weight"), {}, kNotFound, "tensor 'a.to_out.weight': is missing, expected shape [4, 4]"},
      {without("a.to_out.weight"), {.prefix = "a."}, kNotFound, "tensor 'a.to_out.weight': is missing"},
      {as_is, {.norm = Norm::kBatch}, kNotFound, "tensor 'a.norm.running_mean': is missing"},
      {shaped("a.norm.running_var", {4}), {}, kNotFound, "tensor 'a.norm.running_mean': is missing"},
      {shaped("a.norm.running_mean", {4}), {}, kNotFound, "tensor 'a.norm.running_var': is missing"},
      {[](WeightsFile& w) { w.remove("a.norm.weight"); w.remove("a.norm.bias"); }, {.norm = Norm::kGroup}, kNotFound,
       "tensor 'a.norm.weight': is missing"},
      // Tensors of another norm
      {as_is, {.norm = Norm::kNone}, kInvalid, "tensor 'a.norm.weight': expected no such tensor with norm 'none'"},
      {running, {.norm = Norm::kGroup}, kInvalid, "'a.norm.running_mean': expected no such tensor with norm 'gn'"},
      {running, {.norm = Norm::kInstance}, kInvalid, "'a.norm.running_mean': expected no such tensor with norm 'in'"},
      {running, {.norm = Norm::kNone}, kInvalid, "tensor 'a.norm.weight': expected no such tensor with norm 'none'"},
      // Shapes
      {shaped("a.to_qkv.weight", {48}), {}, kFormat, "expected shape [3C, C] for C channels, C ≥ 1, given [48]"},
      {shaped("a.to_qkv.weight", {12, 0}), {}, kFormat, "expected shape [3C, C] for C channels, C ≥ 1, given [12, 0]"},
      {shaped("a.to_qkv.weight", {0, 4}), {}, kFormat,
       "expected shape [12, 4], [12, 4, 1] or [12, 4, 1, 1], given [0,"},
      {shaped("a.to_qkv.weight", {12, 5}), {}, kFormat, "given [12, 5]"},
      {shaped("a.to_qkv.weight", {13, 4}), {}, kFormat, "given [13, 4]"},
      {shaped("a.to_qkv.weight", {12, 4, 3, 3}), {}, kFormat, "given [12, 4, 3, 3]"},
      {shaped("a.to_qkv.weight", {12, 4, 1, 1, 1}), {}, kFormat, "given [12, 4, 1, 1, 1]"},
      {shaped("a.to_qkv.weight", {0, kWraps}), {}, kFormat, wrapped_shape.c_str()},
      {shaped("a.to_qkv.bias", {4}), {}, kFormat, "tensor 'a.to_qkv.bias': expected shape [12], given [4]"},
      {shaped("a.to_out.weight", {12, 4}), {}, kFormat, "tensor 'a.to_out.weight': expected shape [4, 4]"},
      {shaped("a.to_out.bias", {4, 1}), {}, kFormat, "tensor 'a.to_out.bias': expected shape [4], given [4, 1]"},
      {shaped("a.norm.weight", {}), {}, kFormat, "tensor 'a.norm.weight': expected shape [4], given []"},
      {shaped("a.norm.bias", {1, 1, 1, 1, 1, 1, 1, 1}), {}, kFormat, "given [1, 1, 1, 1, 1, 1, …]"},
      // Groups and eps
      {as_is, {.groups = 3}, kInvalid, "f: groups: expected a divisor of the 4 channels, given 3"},
      {as_is, {.groups = 32}, kInvalid, "f: groups: expected a divisor of the 4 channels, given 32"},
      {as_is, {.eps = -1e-5}, kInvalid, "f: eps: expected a finite number above 0, given -1e-05"},
      {as_is, {.eps = double{kInfinity}}, kInvalid, "given inf"},
      {as_is, {.eps = double{kNan}}, kInvalid, "given nan"},
      {as_is, {.heads = 3}, kInvalid, "f: heads: expected a divisor of the 4 channels, given 3"},
      // Values
      {holding("a.norm.weight", 1, kNan), {}, kInvalid,
       "tensor 'a.norm.weight': expected finite float32 values, given nan at index 1"},
      {holding("a.norm.bias", 3, kInfinity), {}, kInvalid,
       "'a.norm.bias': expected finite float32 values, given inf at index 3"},
      {holding("a.norm.running_mean", 0, kNan), {}, kInvalid, "tensor 'a.norm.running_mean'"},
      {holding("a.norm.running_var", 2, -1), {}, kInvalid, "values from 0 on, given -1 at index 2"},
      {holding("a.to_qkv.weight", 47, -kInfinity), {}, kInvalid, "given -inf at index 47"},
      {holding("a.to_qkv.bias", 11, kNan), {}, kInvalid, "tensor 'a.to_qkv.bias'"},
      {holding("a.to_out.weight", 15, kNan), {}, kInvalid, "tensor 'a.to_out.weight'"},
      {holding("a.to_out.bias", 0, kNan), {}, kInvalid, "tensor 'a.to_out.bias'"},
  };
  for (const Row& row : rows) {
    WeightsFile weights;
    weights.add_ddpm("a.");
    row.edit(weights);
    const Opened opened(weights);
    BlockWeights block;
    block.prefix = "untouched";
    const Status status = row.request.load(opened.file, block);
    const std::string message = status.message();
    CAPTURE(std::string(row.message));
    CAPTURE(message);
    CHECK(status.code() == row.code);
    CHECK(message.find(row.message) != std::string::npos);
    CHECK(message.find_first_of("\n\x1b") == std::string::npos);
    CHECK(message.size() < Status::kMessageBytes - 1);
    CHECK(block.prefix == "untouched");
  }
}

TEST_CASE("blocks: a dtype that is no float is named, and a double that is too large") {
  for (const auto& [dtype, bytes, message] :
       {std::tuple("I32", 4u, "given I32"), std::tuple("F64", 8u, "given inf at index 0")}) {
    std::string header = "{";
    std::size_t end = 0;
    for (const auto& [name, shape, count] :
         {std::tuple("to_qkv.weight", "3,1", 3u), std::tuple("to_out.weight", "1,1", 1u)}) {
      header += (end == 0 ? "\"" : ",\"") + std::string(name) + R"(":{"dtype":")" + dtype + R"(","shape":[)" + shape +
                R"(],"data_offsets":[)" + std::to_string(end) + ',';
      end += count * bytes;
      header += std::to_string(end) + "]}";
    }
    std::string data;
    while (data.size() < end) data += little_endian(1e300);
    const std::string file_bytes = safetensors(header + '}', data);
    SafetensorsFile file;
    REQUIRE(SafetensorsFile::parse(bytes_of(file_bytes), "f", file).ok());
    BlockWeights block;
    const std::string given = Request{.norm = Norm::kNone}.load(file, block).message();
    CHECK(given.find("tensor 'to_qkv.weight'") != std::string::npos);
    CHECK(given.find(message) != std::string::npos);
  }
}

TEST_CASE("blocks: find lists complete blocks by prefix") {
  WeightsFile weights;
  weights.add_ddpm("c.", 64);
  weights.add_ddpm("b.", 8);
  weights.add_ddpm("a.");
  weights.add_running("a.");
  weights.add_ddpm("no_norm.");
  weights.remove("no_norm.norm.weight");
  weights.remove("no_norm.norm.bias");
  weights.add_ddpm("incomplete.");
  weights.remove("incomplete.to_out.weight");
  weights.add_ddpm("shape.");
  weights.add("shape.to_out.weight", {5, 5});
  weights.add_ddpm("half_norm.");
  weights.remove("half_norm.norm.bias");
  weights.add_ddpm("not_a_prefix_");
  const Opened opened(weights);
  std::vector<io::BlockEntry> blocks;
  REQUIRE(io::find_blocks(opened.file, blocks).ok());
  using io::Untold;
  constexpr std::uint32_t kUsual = Untold::kHeads | Untold::kEps;
  const io::BlockEntry expected[] = {{"a.", "ddpm", 4, Norm::kBatch, 1e-5, false, 0, kUsual},
                                     {"b.", "ddpm", 8, Norm::kGroup, 1e-5, false, Untold::kGroups, kUsual},
                                     {"c.", "ddpm", 64, Norm::kGroup, 1e-5, false, 0, kUsual | Untold::kGroups}};
  REQUIRE(blocks.size() == std::size(expected));
  for (std::size_t i = 0; i < std::size(expected); ++i) {
    CHECK(blocks[i].prefix == expected[i].prefix);
    CHECK(blocks[i].style == expected[i].style);
    CHECK(blocks[i].channels == expected[i].channels);
    CHECK(blocks[i].norm == expected[i].norm);
    CHECK(blocks[i].default_eps == expected[i].default_eps);
    CHECK(blocks[i].any_heads == expected[i].any_heads);
    CHECK(blocks[i].needed == expected[i].needed);
    CHECK(blocks[i].assumed == expected[i].assumed);
  }
  CHECK(io::find_blocks(SafetensorsFile(), blocks).ok());
  CHECK(blocks.empty());
}

TEST_CASE("blocks: the trained blocks of the test data") {
  SafetensorsFile file;
  REQUIRE(SafetensorsFile::open(std::string(data_directory()) + "/digits-blocks.safetensors", file).ok());
  std::vector<io::BlockEntry> blocks;
  REQUIRE(io::find_blocks(file, blocks).ok());
  REQUIRE(blocks.size() == 2);
  CHECK(blocks[0].prefix == "a0.");
  CHECK(blocks[0].channels == 64);
  CHECK(blocks[1].prefix == "am.");
  CHECK(blocks[1].channels == 128);
  for (const io::BlockEntry& entry : blocks) {
    BlockWeights block;
    const Request request{.prefix = entry.prefix, .groups = 32};
    REQUIRE(request.load(file, block).ok());
    CHECK(block.assumed == (io::Untold::kHeads | io::Untold::kEps));
    CHECK(block.spec.channels == entry.channels);
    CHECK(block.qkv_weight.size() == 3 * entry.channels * entry.channels);
  }
}
