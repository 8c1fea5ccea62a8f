#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "check.h"
#include "edgeattn/edgeattn_io.h"
#include "edgeattn/io.h"
#include "files.h"

/// Any bytes as a weights file, from memory and through a pipe, and as the index of a sharded model: read in full if the reader
/// accepts them, with all blocks in it; refused with one line if not.
namespace edgeattn::fuzz {
namespace {

void require_one_line(const Status& status, std::string_view path = "input") {
  const std::string_view message = status.message();
  require(message.starts_with(path) && message.find('\n') == std::string_view::npos, "one line: " + std::string(message));
  // What is not UTF-8 is left out.
  const std::string text = nlohmann::json(message).dump(-1, ' ', false, nlohmann::json::error_handler_t::ignore);
  require(nlohmann::json::parse(text) == message, "UTF-8: " + std::string(message));
}

/// The first number in a dtype's name, but for the small ones.
std::size_t bits_of(std::string_view dtype) {
  if (dtype == "BOOL") return 8;
  const std::size_t digit = dtype.find_first_of("0123456789");
  const std::string_view number = dtype.substr(digit, dtype.find('_', digit) - digit);
  return static_cast<std::size_t>(std::stoul(std::string(number)));
}

/// The rules of the format, in other words than the reader's.
void require_cover(std::span<const std::byte> bytes, const io::SafetensorsFile& file) {
  std::uint64_t header = 0;
  __builtin_memcpy(&header, bytes.data(), sizeof header);
  unsigned __int128 end = sizeof header + static_cast<unsigned __int128>(header);
  for (const io::TensorInfo& tensor : file.tensors()) {
    require(tensor.offset == end, "tensors follow each other");
    end += tensor.bytes;
    unsigned __int128 elements = 1;
    for (const std::size_t size : tensor.shape) elements *= size;
    require(elements * bits_of(tensor.dtype_name) == static_cast<unsigned __int128>(tensor.bytes) * 8,
            "bytes are those of the shape");
    require(file.find(tensor.name) == &tensor, "tensors are found by name");
  }
  require(end == bytes.size(), "tensors fill the file");
}

void read_all(const io::SafetensorsFile& file) {
  for (const io::TensorInfo& tensor : file.tensors()) {
    std::vector<float> values;
    const Status status = file.read(tensor, values);
    const bool readable = tensor.dtype != io::Dtype::kOther && tensor.bytes > 0, small = tensor.dtype_name.starts_with("F8_");
    const bool scaled = small && std::string_view(status.message()).find(" with the scale '") != std::string_view::npos;
    require((status.ok() || scaled) == readable || (scaled && !readable), "floats with elements are read");
    require(!status.ok() || values.size() == tensor.elements(), "all elements are read");
  }
}

/// A request that answers all but what may be assumed.
io::BlockRequest answers(const io::BlockEntry& block, io::QkvOrder order) {
  const bool groups = (block.needed & io::Untold::kGroups) != 0, eps = (block.needed & io::Untold::kEps) != 0;
  return {.prefix = &block.prefix,
          .groups = groups ? std::size_t{1} : 0,
          .eps = eps ? 1e-5 : 0,
          .heads = block.any_heads ? std::size_t{1} : 0,
          .qkv_order = order};
}

void load_all(const io::SafetensorsFile& file) {
  std::vector<io::BlockEntry> blocks;
  require(io::find_blocks(file, blocks).ok(), "blocks are looked for in any file");
  for (const io::BlockEntry& block : blocks) {
    require(&block == blocks.data() || (&block)[-1].prefix < block.prefix, "each block is listed once");
    require(block.norm != Norm::kNone || block.style == "edgeattn-folded", "a block has its norm");
    require((block.needed & block.assumed) == 0, "what is asked for is not assumed");
    for (const io::QkvOrder order : {io::QkvOrder::kUnsaid, io::QkvOrder::kLegacy}) {
      io::BlockWeights weights;
      const Status status = io::load_block(file, answers(block, order), weights);
      if (!status.ok()) require_one_line(status);
      if (!status.ok()) continue;
      require(weights.spec.channels == block.channels, "a block has the channels that were found");
      require(weights.assumed == block.assumed, "what is listed as assumed is assumed");
      require(weights.spec.norm != Norm::kNone || weights.score_weight.size() > 0, "no block runs without its norm");
    }
  }
  io::BlockWeights weights;
  const Status status = io::load_block(file, {}, weights);
  if (!status.ok()) require_one_line(status);

  std::vector<io::RefusedBlock> refused;
  require(io::find_refused_blocks(file, refused).ok(), "blocks that are refused are looked for in any file");
  for (const io::RefusedBlock& block : refused)
    require(!io::load_block(file, {.prefix = &block.prefix, .groups = 1, .eps = 1e-5, .heads = 1}, weights).ok(),
            "what is refused is not loaded");
}

/// What the reader says of the same bytes through a pipe.
void compare_pipe(std::span<const std::byte> bytes, const Status& in_memory) {
  int ends[2];
  require(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "there are pipes");
  const bool fits = ::write(ends[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  ::close(ends[1]);
  const std::string path = "/proc/self/fd/" + std::to_string(ends[0]);
  io::SafetensorsFile file;
  const Status status = io::SafetensorsFile::open(path, file);
  ::close(ends[0]);
  if (!fits) return;
  require(status.ok() == in_memory.ok(), "a pipe is read as memory is: " + std::string(status.message()));
  if (!status.ok()) return require_one_line(status, path + ": ");
  read_all(file);
}

/// The bytes as an index beside two shards.
void open_index(std::span<const std::byte> bytes) {
  static const test::TempDirectory folder;
  static const bool shards = [] {
    test::write_file(folder / "a", test::safetensors(test::kGoodHeader, test::zeros(8)));
    test::write_file(folder / "b", test::safetensors(R"({"y":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[0,3]}})", "abc"));
    return true;
  }();
  require(shards, "there are shards");
  test::write_file(folder / "index", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  io::SafetensorsFile file;
  const Status status = io::SafetensorsFile::open(folder / "index", file);
  if (!status.ok()) return require_one_line(status, folder.path().string());
  for (const std::string& path : file.files())
    require(path == folder / "index" || path == folder / "a" || path == folder / "b", "only shards are opened");
  for (const io::TensorInfo& tensor : file.tensors()) require(file.find(tensor.name) == &tensor, "tensors are found by name");
  read_all(file);
}

void fuzz(std::span<const std::byte> bytes) {
  io::SafetensorsFile file;
  const Status status = io::SafetensorsFile::parse(bytes, "input", file);
  edgeattn_file* c_file = nullptr;
  const edgeattn_status c_status = edgeattn_open_memory(bytes.data(), bytes.size(), "input", &c_file, nullptr);
  require(bytes.data() == nullptr || (c_status == EDGEATTN_OK) == status.ok(), "C agrees");
  edgeattn_close_file(c_file);
  compare_pipe(bytes, status);
  if (bytes.size() >= 8 && bytes[0] == std::byte{'{'}) open_index(bytes);
  if (!status.ok()) {
    require(status.code() == StatusCode::kFormat && file.tensors().empty(), "a refused file is not there");
    return require_one_line(status);
  }
  require_cover(bytes, file);
  read_all(file);
  load_all(file);
}

}  // namespace
}  // namespace edgeattn::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  edgeattn::fuzz::fuzz(std::as_bytes(std::span(data, size)));
  return 0;
}
