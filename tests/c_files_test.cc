#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>

#include "c_calls.h"
#include "edgeattn/edgeattn_io.h"
#include "files.h"
#include "harness.h"
#include "weights_file.h"

namespace edgeattn::test {
namespace {

struct CloseFile {
  void operator()(edgeattn_file* file) const { edgeattn_close_file(file); }
};
using File = std::unique_ptr<edgeattn_file, CloseFile>;
struct FreeBlock {
  void operator()(edgeattn_loaded* loaded) const { edgeattn_free_block(loaded); }
};
using Loaded = std::unique_ptr<edgeattn_loaded, FreeBlock>;

File open_c(const std::string& path) {
  edgeattn_message message;
  edgeattn_file* file = nullptr;
  REQUIRE_C_OK(edgeattn_open_file(path.c_str(), &file, &message));
  return File(file);
}

TEST_CASE("C: blocks of a file") {
  edgeattn_message message;
  const std::string path = std::string(data_directory()) + "/digits-blocks.safetensors";
  io::SafetensorsFile expected_file;
  REQUIRE_OK(io::SafetensorsFile::open(path, expected_file));
  const std::string bytes = read_file(path);
  edgeattn_file* in_memory = nullptr;
  REQUIRE_C_OK(edgeattn_open_memory(bytes.data(), bytes.size(), "memory", &in_memory, &message));
  const File files[] = {open_c(path), File(in_memory)};
  for (const File& file : files) {
    REQUIRE(edgeattn_block_count(file.get()) == 2);
    CHECK(std::string(edgeattn_block_prefix(file.get(), 0)) == "a0.");
    CHECK(std::string(edgeattn_block_prefix(file.get(), 1)) == "am.");
    CHECK(edgeattn_block_prefix(file.get(), 2) == nullptr);
    const std::string prefix = "am.";
    io::BlockWeights expected;
    REQUIRE_OK(io::load_block(expected_file, {.prefix = &prefix, .groups = 16, .eps = 1e-3}, expected));

    auto request = sized<edgeattn_request>();
    request.prefix = "am.";
    request.groups = 16;
    request.eps = 1e-3;
    edgeattn_loaded* made = nullptr;
    REQUIRE_C_OK(edgeattn_load_block(file.get(), &request, &made, &message));
    const Loaded loaded(made);
    auto spec = sized<edgeattn_spec>();
    auto weights = sized<edgeattn_weights>();
    REQUIRE_C_OK(edgeattn_view_block(loaded.get(), &spec, &weights, &message));
    REQUIRE_C_OK(edgeattn_view_block(loaded.get(), nullptr, nullptr, &message));
    const edgeattn_spec expected_spec = c_spec(expected.spec);
    CHECK(std::memcmp(&spec, &expected_spec, sizeof spec) == 0);
    CHECK(std::equal(expected.qkv_weight.begin(), expected.qkv_weight.end(), weights.qkv_weight));
    CHECK(std::equal(expected.out_weight.begin(), expected.out_weight.end(), weights.out_weight));
    CHECK(std::equal(expected.norm_bias.begin(), expected.norm_bias.end(), weights.norm_bias));
    CHECK(weights.running_mean == nullptr);

    const edgeattn_norm norm = EDGEATTN_NORM_NONE, wrong = 9;
    made = nullptr;
    request.norm = &norm;
    CHECK(edgeattn_load_block(file.get(), &request, &made, &message) != EDGEATTN_OK);
    request.norm = &wrong;
    CHECK_C_FAILS(edgeattn_load_block(file.get(), &request, &made, &message), EDGEATTN_INVALID_ARGUMENT, "request.norm");
    CHECK_C_FAILS(edgeattn_load_block(file.get(), nullptr, &made, &message), EDGEATTN_NOT_FOUND, "2 blocks: 'a0.', 'am.'");
    CHECK_C_FAILS(edgeattn_load_block(nullptr, nullptr, &made, &message), EDGEATTN_INVALID_ARGUMENT, "file is null");
    CHECK(made == nullptr);
  }
}

TEST_CASE("C: what files leave open is asked for") {
  WeightsFile file;
  file.add_block("", kGuidedDiffusion, {1});
  const std::string bytes = file.bytes();
  edgeattn_message message;
  edgeattn_file* opened = nullptr;
  REQUIRE_C_OK(edgeattn_open_memory(bytes.data(), bytes.size(), "memory", &opened, &message));
  const File owner(opened);
  io::SafetensorsFile expected_file;
  REQUIRE_OK(io::SafetensorsFile::parse(std::as_bytes(std::span(bytes)), "memory", expected_file));

  auto request = sized<edgeattn_request>();
  request.groups = 2;
  edgeattn_loaded* made = nullptr;
  CHECK_C_FAILS(edgeattn_load_block(opened, &request, &made, &message), EDGEATTN_INVALID_ARGUMENT, "heads: expected how many");
  request.heads = 2;
  CHECK_C_FAILS(edgeattn_load_block(opened, &request, &made, &message), EDGEATTN_INVALID_ARGUMENT, "expected new or legacy");
  request.qkv_order = 3;
  CHECK_C_FAILS(edgeattn_load_block(opened, &request, &made, &message), EDGEATTN_INVALID_ARGUMENT, "request.qkv_order");
  request.no_residual = 1;
  request.rescale_output = 4;
  const bool residual = false;
  for (const auto order : {io::QkvOrder::kNew, io::QkvOrder::kLegacy}) {
    io::BlockWeights expected;
    REQUIRE_OK(io::load_block(
        expected_file, {.groups = 2, .heads = 2, .qkv_order = order, .residual = &residual, .rescale_output = 4}, expected));
    request.qkv_order = static_cast<edgeattn_qkv_order>(order);
    REQUIRE_C_OK(edgeattn_load_block(opened, &request, &made, &message));
    const Loaded loaded(made);
    auto spec = sized<edgeattn_spec>();
    auto weights = sized<edgeattn_weights>();
    REQUIRE_C_OK(edgeattn_view_block(made, &spec, &weights, &message));
    const edgeattn_spec expected_spec = c_spec(expected.spec);
    CHECK(std::memcmp(&spec, &expected_spec, sizeof spec) == 0);
    CHECK(spec.rescale_output == 4);
    CHECK(std::ranges::equal(expected.qkv_weight, std::span(weights.qkv_weight, expected.qkv_weight.size())));
  }
}

TEST_CASE("C: what was assumed is told, and a request's last field is its scale") {
  WeightsFile file;
  file.add_block("", kDdpm, {1}, 64);
  const std::string bytes = file.bytes();
  edgeattn_message message;
  edgeattn_file* opened = nullptr;
  REQUIRE_C_OK(edgeattn_open_memory(bytes.data(), bytes.size(), "memory", &opened, &message));
  const File owner(opened);
  auto request = sized<edgeattn_request>();
  const auto assumed = [&](double scale) {
    edgeattn_loaded* made = nullptr;
    REQUIRE_C_OK(edgeattn_load_block(opened, &request, &made, &message));
    const Loaded loaded(made);
    auto spec = sized<edgeattn_spec>();
    REQUIRE_C_OK(edgeattn_view_block(made, &spec, nullptr, &message));
    CHECK(spec.scale == scale);
    return edgeattn_assumed(made);
  };
  CHECK(assumed(0) == (EDGEATTN_UNTOLD_HEADS | EDGEATTN_UNTOLD_GROUPS | EDGEATTN_UNTOLD_EPS));
  request.groups = 8;
  CHECK(assumed(0) == (EDGEATTN_UNTOLD_HEADS | EDGEATTN_UNTOLD_EPS));
  request.heads = 4;
  request.scale = 0.5;
  CHECK(assumed(0.5) == EDGEATTN_UNTOLD_EPS);
  request.eps = 1e-5;
  CHECK(assumed(0.5) == 0);
  request.size = offsetof(edgeattn_request, scale);  // a host of 0.1
  CHECK(assumed(0) == 0);
  CHECK(edgeattn_assumed(nullptr) == 0);
}

TEST_CASE("C: every field of a spec comes out of a folded file") {
  const Spec spec{.channels = 6, .norm = Norm::kGroup, .groups = 3, .eps = 1e-4, .scale = 0.25, .residual = false,
                  .rescale_output = 0.5};
  io::BlockWeights folded;
  REQUIRE_OK(io::fold_block(random_weights(spec, 75), detect_machine(), folded));
  const TempDirectory directory;
  REQUIRE_OK(io::write_folded(directory / "folded", folded));
  const File file = open_c(directory / "folded");
  edgeattn_message message;
  edgeattn_loaded* made = nullptr;
  REQUIRE_C_OK(edgeattn_load_block(file.get(), nullptr, &made, &message));
  const Loaded loaded(made);
  auto view = sized<edgeattn_spec>();
  auto weights = sized<edgeattn_weights>();
  REQUIRE_C_OK(edgeattn_view_block(loaded.get(), &view, &weights, &message));
  const edgeattn_spec expected = c_spec(spec);
  CHECK(std::memcmp(&view, &expected, sizeof view) == 0);
  CHECK(std::equal(folded.score_weight.begin(), folded.score_weight.end(), weights.score_weight));
  CHECK(std::equal(folded.score_bias.begin(), folded.score_bias.end(), weights.score_bias));
  CHECK(weights.qkv_weight == nullptr);
  CHECK(edgeattn_assumed(made) == 0);
}

TEST_CASE("C: tensors of a file, and files that are none") {
  edgeattn_message message;
  const std::string bytes = safetensors(kGoodHeader, little_endian(1.5f) + little_endian(-2.0f));
  edgeattn_file* made = nullptr;
  REQUIRE_C_OK(edgeattn_open_memory(bytes.data(), bytes.size(), "memory", &made, &message));
  const File file(made);
  CHECK(edgeattn_block_count(file.get()) == 0);
  auto tensor = sized<edgeattn_tensor>();
  REQUIRE_C_OK(edgeattn_find_tensor(file.get(), "x", &tensor, &message));
  CHECK(tensor.elements == 2);
  CHECK(tensor.rank == 1);
  CHECK(tensor.shape[0] == 2);
  float values[3] = {0, 0, 42};
  CHECK_C_FAILS(edgeattn_read_tensor(file.get(), "x", values, 1, &message), EDGEATTN_TOO_SMALL, "2 values required, 1 given");
  REQUIRE_C_OK(edgeattn_read_tensor(file.get(), "x", values, 3, &message));
  CHECK(values[0] == 1.5f);
  CHECK(values[1] == -2.0f);
  CHECK(values[2] == 42.0f);
  CHECK_C_FAILS(edgeattn_find_tensor(file.get(), "y", &tensor, &message), EDGEATTN_NOT_FOUND, "memory: tensor 'y'");
  CHECK_C_FAILS(edgeattn_find_tensor(file.get(), nullptr, &tensor, &message), EDGEATTN_INVALID_ARGUMENT, "name is null");
  CHECK_C_FAILS(edgeattn_find_tensor(nullptr, "x", &tensor, &message), EDGEATTN_INVALID_ARGUMENT, "file is null");
  CHECK_C_FAILS(edgeattn_find_tensor(file.get(), "x", nullptr, &message), EDGEATTN_INVALID_ARGUMENT, "tensor is null");
  CHECK_C_FAILS(edgeattn_read_tensor(file.get(), "x", nullptr, 2, &message), EDGEATTN_INVALID_ARGUMENT, "values is null");

  const std::string many = safetensors(test::tensor(R"("F32")", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), std::string(4, '\0'));
  edgeattn_file* nine = nullptr;
  REQUIRE_C_OK(edgeattn_open_memory(many.data(), many.size(), "memory", &nine, &message));
  const File nine_file(nine);
  CHECK_C_FAILS(edgeattn_find_tensor(nine_file.get(), "x", &tensor, &message), EDGEATTN_UNSUPPORTED, "at most 8");

  edgeattn_file* none = nullptr;
  CHECK_C_FAILS(edgeattn_open_file("/nowhere/at.all", &none, &message), EDGEATTN_NOT_FOUND, "/nowhere/at.all");
  CHECK_C_FAILS(edgeattn_open_memory("garbage", 7, "memory", &none, &message), EDGEATTN_FORMAT, "memory: ");
  CHECK_C_FAILS(edgeattn_open_memory(nullptr, 7, "memory", &none, &message), EDGEATTN_INVALID_ARGUMENT, "bytes is null");
  CHECK_C_FAILS(edgeattn_open_memory("garbage", 7, nullptr, &none, &message), EDGEATTN_INVALID_ARGUMENT, "name is null");
  CHECK_C_FAILS(edgeattn_open_file(nullptr, &none, &message), EDGEATTN_INVALID_ARGUMENT, "path is null");
  CHECK_C_FAILS(edgeattn_open_file("x", nullptr, &message), EDGEATTN_INVALID_ARGUMENT, "file is null");
  CHECK(none == nullptr);
  CHECK_C_FAILS(edgeattn_view_block(nullptr, nullptr, nullptr, &message), EDGEATTN_INVALID_ARGUMENT, "loaded is null");
  CHECK(edgeattn_block_count(nullptr) == 0);
  CHECK(edgeattn_block_prefix(nullptr, 0) == nullptr);
  edgeattn_close_file(nullptr);
  edgeattn_free_block(nullptr);
}

}  // namespace
}  // namespace edgeattn::test
