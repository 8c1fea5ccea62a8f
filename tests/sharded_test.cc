#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdio>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "edgeattn/edgeattn_io.h"
#include "edgeattn/io.h"
#include "weights_file.h"

using namespace edgeattn;
using namespace edgeattn::test;
using io::SafetensorsFile;

namespace {

/// An index of tensors and their shards, in that order.
std::string index(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string text = R"({"metadata":{"total_size":8},"weight_map":{)";
  for (const auto& [tensor, shard] : entries) text += (text.ends_with('{') ? "\"" : ",\"") + tensor + "\":\"" + shard + '"';
  return text + "}}\n";
}

std::string one(const std::string& name, float value = 1) {
  WeightsFile file;
  file.add(name, {1}, value);
  return file.bytes();
}

/// A block whose tensors are dealt out to three shards, and the index of them.
void write_sharded_block(const TempDirectory& folder, const std::string& name, const std::string& suffix) {
  WeightsFile whole;
  whole.add_ddpm("am.");
  Opened opened(whole);
  WeightsFile shards[3];
  std::vector<std::pair<std::string, std::string>> entries;
  for (std::size_t i = 0; i < opened.file.tensors().size(); ++i) {
    const io::TensorInfo& tensor = opened.file.tensors()[i];
    std::vector<float> values;
    REQUIRE(opened.file.read(tensor, values).ok());
    shards[i % 3].add(tensor.name, tensor.shape);
    shards[i % 3].values(tensor.name) = values;
    entries.emplace_back(tensor.name, std::to_string(i % 3) + suffix);
  }
  for (std::size_t i = 0; i < 3; ++i) write_file(folder / (std::to_string(i) + suffix), shards[i].bytes());
  write_file(folder / name, index(entries));
}

}  // namespace

TEST_CASE("sharded: a block in three shards is the block, by the path of their index") {
  const TempDirectory folder;
  const std::string path = folder / "model.safetensors.index.json";
  write_sharded_block(folder, "model.safetensors.index.json", "-of-3.safetensors");
  SafetensorsFile opened;
  REQUIRE(std::string(SafetensorsFile::open(path, opened).message()) == "");
  const SafetensorsFile file = std::move(opened);  // shards stay mapped
  CHECK(file.path() == path);
  REQUIRE(file.files().size() == 4);
  CHECK(file.files()[0] == path);
  CHECK(file.files()[3] == folder / "2-of-3.safetensors");
  for (const io::TensorInfo& tensor : file.tensors()) {
    CHECK(file.find(tensor.name) == &tensor);
    CHECK(tensor.file >= 1);
    CHECK(tensor.file <= 3);
  }
  std::vector<io::BlockEntry> blocks;
  REQUIRE(io::find_blocks(file, blocks).ok());
  REQUIRE(blocks.size() == 1);
  io::BlockWeights block;
  const Request request{.prefix = "am."};
  REQUIRE(std::string(request.load(file, block).message()) == "");
  check_values(block);

  io::TensorInfo moved = file.tensors()[0];
  moved.file = moved.file % 3 + 1;
  std::vector<float> values;
  CHECK(file.read(moved, values).code() == StatusCode::kInvalidArgument);

  edgeattn_file* c_file = nullptr;
  edgeattn_message message;
  REQUIRE(edgeattn_open_file(path.c_str(), &c_file, &message) == EDGEATTN_OK);
  CHECK(edgeattn_block_count(c_file) == 1);
  std::vector<float> weight(3 * kChannels * kChannels);
  REQUIRE(edgeattn_read_tensor(c_file, "am.to_qkv.weight", weight.data(), weight.size(), &message) == EDGEATTN_OK);
  CHECK(weight == block.qkv_weight);
  edgeattn_close_file(c_file);
}

TEST_CASE("sharded: an index without a folder, behind links, and with much else in it") {
  const TempDirectory folder, elsewhere;
  write_sharded_block(folder, "i.json", ".st");
  // As in the cache of a hub: the snapshot has links only, to files of other names.
  std::filesystem::rename(folder / "i.json", elsewhere / "blob-i");
  std::filesystem::create_symlink(elsewhere / "blob-i", folder / "i.json");
  std::filesystem::rename(folder / "1.st", elsewhere / "blob-1");
  std::filesystem::create_symlink(elsewhere / "blob-1", folder / "1.st");
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  SafetensorsFile file;
  const Status status = SafetensorsFile::open("i.json", file);
  std::filesystem::current_path(before);
  CHECK(std::string(status.message()) == "");
  CHECK(file.files()[1] == "0.st");

  std::string text = read_file(folder / "i.json");
  text.insert(1, R"("deep":)" + std::string(5000, '[') + std::string(5000, ']') +
                     R"(,"other":{"weight_map":{"x":[1,null,true,{"y":-1.5}]}},)");
  write_file(folder / "j.json", "\n " + text);
  CHECK(std::string(SafetensorsFile::open(folder / "j.json", file).message()) == "");
  CHECK(file.tensors().size() == 6);
}

TEST_CASE("sharded: metadata of the model is what all shards say") {
  const TempDirectory folder;
  const auto shard = [](const std::string& name, const std::string& pairs) {
    return safetensors("{\"__metadata__\":{" + pairs + "},\"" + name + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})");
  };
  write_file(folder / "a", shard("a", R"("format":"pt","own":"1","same":"x")"));
  write_file(folder / "b", shard("b", R"("format":"pt","own":"2","same":"x")"));
  write_file(folder / "c", shard("c", R"("format":"pt","same":"x","third":"")"));
  write_file(folder / "index", index({{"a", "a"}, {"b", "b"}, {"c", "c"}}));
  SafetensorsFile file;
  REQUIRE(std::string(SafetensorsFile::open(folder / "index", file).message()) == "");
  CHECK(file.metadata() == io::Metadata{{"format", "pt"}, {"same", "x"}});
}

TEST_CASE("sharded: what does not fit is refused, with the file and the tensor") {
  const TempDirectory folder;
  std::filesystem::create_directory(folder / "below");
  write_file(folder / "below/x", one("x"));
  write_file(folder / "x", one("x"));
  write_file(folder / "y", one("y"));
  write_file(folder / "also-x", one("x", 2));
  write_file(folder / "foreign", "GGUF\3....");
  write_file(folder / "nested", index({{"x", "x"}}));
  write_file(folder / "cut", one("x").substr(0, 40));
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  WeightsFile two;
  two.add("x", {1});
  two.add("z", {1});
  write_file(folder / "two", two.bytes());
  struct Row {
    std::string text;
    StatusCode code;
    const char* said;
  };
  const Row rows[] = {
      {index({{"x", "x"}, {"y", "gone"}}), StatusCode::kNotFound, "index: tensor 'y': its shard 'gone' is missing"},
      {index({{"x", "gone-1"}, {"y", "gone-2"}}), StatusCode::kNotFound, "tensor 'x': its shard 'gone-1' is missing"},
      {index({{"x", "X"}}), StatusCode::kNotFound, "tensor 'x': its shard 'X' is missing"},
      {index({{"x", "y"}, {"y", "y"}}), StatusCode::kFormat, "index: tensor 'x': is missing from its shard 'y'"},
      {index({{"x", "x"}, {"y", "x"}}), StatusCode::kFormat, "tensor 'y': is missing from its shard 'x'"},
      {index({{"x", "y"}, {"y", "x"}}), StatusCode::kFormat, "tensor 'x': is missing from its shard 'y'"},
      {index({{"x", "x"}, {"x2", "also-x"}}), StatusCode::kFormat, "tensor 'x': is in two shards, 'also-x' and 'x'"},
      {index({{"x", "two"}, {"z", "two"}, {"w", "x"}}), StatusCode::kFormat, "tensor 'x': is in two shards, 'two' and 'x'"},
      {index({{"x", "x"}, {"z", "two"}}), StatusCode::kFormat, "tensor 'x': is in two shards, 'two' and 'x'"},
      {index({{"x", "two"}}), StatusCode::kFormat, "tensor 'z': is in the shard 'two', but not in weight_map"},
      {index({{"x", "x"}, {"x", "x"}}), StatusCode::kFormat, "tensor 'x': expected in weight_map once, given twice"},
      {index({{"x", "x"}, {"x", "also-x"}}), StatusCode::kFormat, "tensor 'x': expected in weight_map once, given twice"},
      {index({{"y", "y"}, {"x", "x"}, {"\\u0079", "y"}}), StatusCode::kFormat, "tensor 'y': expected in weight_map once"},
      {index({{"x", "below/x"}}), StatusCode::kFormat, "tensor 'x': expected as shard a file beside the index, given 'below/x'"},
      {index({{"x", "../" + folder.path().filename().string() + "/x"}}), StatusCode::kFormat,
       "a file beside the index, given '../"},
      {index({{"x", folder / "x"}}), StatusCode::kFormat, "a file beside the index, given '/"},
      {index({{"x", "./x"}}), StatusCode::kFormat, "given './x'"},
      {index({{"x", ""}}), StatusCode::kFormat, "given ''"},
      {index({{"x", "."}}), StatusCode::kFormat, "given '.'"},
      {index({{"x", ".."}}), StatusCode::kFormat, "given '..'"},
      {index({{"x", "x\\u0000y"}}), StatusCode::kFormat, "given 'x?y'"},
      {index({{"x", "below\\\\x"}}), StatusCode::kFormat, "given 'below\\x'"},
      {index({{"x", "below"}}), StatusCode::kIo, "below: expected a regular file, given a directory"},
      {index({{"x", "fifo"}}), StatusCode::kIo, "fifo: expected a regular file, given a pipe"},
      {index({{"x", "foreign"}}), StatusCode::kFormat, "foreign: expected a safetensors file, given a GGUF file"},
      {index({{"x", "nested"}}), StatusCode::kFormat, "nested: expected a safetensors file, given the index of a sharded model"},
      {index({{"x", "index"}}), StatusCode::kFormat, "index: expected a safetensors file, given the index of a sharded model"},
      {index({{"x", "cut"}}), StatusCode::kFormat, "cut: "},
      {R"({"weight_map":{"x":["x"]}})", StatusCode::kFormat, "tensor 'x': expected in weight_map the name of its shard"},
      {R"({"weight_map":{"x":{"file":"x"}}})", StatusCode::kFormat, "tensor 'x': expected in weight_map the name of its shard"},
      {R"({"weight_map":{"x":1}})", StatusCode::kFormat, "tensor 'x': expected in weight_map the name of its shard"},
      {R"({"weight_map":{"x":null}})", StatusCode::kFormat, "tensor 'x': expected in weight_map the name of its shard"},
      {R"({"weight_map":{}})", StatusCode::kFormat, "expected tensors in weight_map, given none"},
      {R"({"weight_map":[]})", StatusCode::kFormat, "expected as weight_map an object"},
      {R"({"weight_map":"x"})", StatusCode::kFormat, "expected as weight_map an object"},
      {R"({"weight_map":{},"weight_map":{}})", StatusCode::kFormat, "expected weight_map once, given twice"},
      {R"({"metadata":{"weight_map":{}}})", StatusCode::kFormat, "an index with a weight_map, given a JSON file"},
      {R"({"weight_map":{"x":"x"})", StatusCode::kFormat, "index: expected JSON, but byte"},
      {R"({"weight_map":{"x":"x"}}})", StatusCode::kFormat, "index: expected JSON, but byte"},
      {"{\"weight_map\":{\"\xC3\x28\":\"x\"}}", StatusCode::kFormat, "index: expected JSON, but byte"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    write_file(folder / "index", row.text);
    SafetensorsFile file;
    const Status status = SafetensorsFile::open(folder / "index", file);
    const std::string message = status.message();
    CAPTURE(message);
    CHECK(status.code() == row.code);
    CHECK(message.find(row.said) != std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
    CHECK(file.tensors().empty());
  }
}

TEST_CASE("sharded: an index cut at any byte, or with any byte changed, never does harm") {
  const TempDirectory folder;
  write_file(folder / "x", one("x"));
  write_file(folder / "y", one("y"));
  const std::string good = index({{"x", "x"}, {"y", "y"}}).substr(0, index({{"x", "x"}, {"y", "y"}}).size() - 1);
  for (std::size_t size = 0; size < good.size(); ++size) {
    write_file(folder / "index", good.substr(0, size));
    SafetensorsFile file;
    CHECK(SafetensorsFile::open(folder / "index", file).code() == StatusCode::kFormat);
  }
  std::mt19937 engine(15);
  std::printf("2000 changes of one byte, seed 15\n");
  for (int change = 0; change < 2000; ++change) {
    std::string changed = good;
    changed[static_cast<std::size_t>(engine() % changed.size())] = static_cast<char>(engine() % 256);
    write_file(folder / "index", changed);
    SafetensorsFile file;
    const Status status = SafetensorsFile::open(folder / "index", file);
    CAPTURE(changed);
    // Of two tensors in two shards, what is accepted has both.
    if (status.ok()) CHECK((file.find("x") != nullptr && file.find("y") != nullptr));
    else CHECK(std::string(status.message()).find('\n') == std::string::npos);
  }
}
