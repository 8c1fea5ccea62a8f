#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "check.h"
#include "edgeattn/edgeattn_io.h"
#include "edgeattn/io.h"

/// Any bytes as a weights file: read in full if the reader accepts them, with all blocks in it; refused with one line if not.
namespace edgeattn::fuzz {
namespace {

void require_one_line(const Status& status) {
  const std::string_view message = status.message();
  require(message.starts_with("input: ") && message.find('\n') == std::string_view::npos, "one line: " + std::string(message));
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
    const bool wide = tensor.dtype == io::Dtype::kF64, single = tensor.dtype == io::Dtype::kF32;
    const bool half = tensor.dtype == io::Dtype::kF16 || tensor.dtype == io::Dtype::kBf16;
    if (wide || single || half) require(elements * (wide ? 8 : single ? 4 : 2) == tensor.bytes, "bytes are those of the shape");
    require(file.find(tensor.name) == &tensor, "tensors are found by name");
  }
  require(end == bytes.size(), "tensors fill the file");
}

void read_all(const io::SafetensorsFile& file) {
  for (const io::TensorInfo& tensor : file.tensors()) {
    std::vector<float> values;
    const Status status = file.read(tensor, values);
    const bool readable = tensor.dtype != io::Dtype::kOther && tensor.bytes > 0;
    require(status.ok() == readable && (!readable || values.size() == tensor.elements()), "floats with elements are read");
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
}

void fuzz(std::span<const std::byte> bytes) {
  io::SafetensorsFile file;
  const Status status = io::SafetensorsFile::parse(bytes, "input", file);
  edgeattn_file* c_file = nullptr;
  const edgeattn_status c_status = edgeattn_open_memory(bytes.data(), bytes.size(), "input", &c_file, nullptr);
  require(bytes.data() == nullptr || (c_status == EDGEATTN_OK) == status.ok(), "C agrees");
  edgeattn_close_file(c_file);
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
