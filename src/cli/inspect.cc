#include <algorithm>
#include <vector>

#include "cli/command.h"
#include "cli/failure.h"
#include "cli/text.h"
#include "cli/untold.h"
#include "edgeattn/io.h"
#include "io/json_text.h"

namespace edgeattn::cli {
namespace {

/// What a request that says nothing would get.
Spec usual_spec(const io::BlockEntry& block) {
  return {.channels = block.channels, .norm = block.norm, .eps = block.default_eps};
}

std::vector<std::string> names_of(std::uint32_t untold) {
  std::vector<std::string> names;
  for (const UntoldField& field : untold_fields())
    if ((untold & field.bit) != 0) names.emplace_back(field.name);
  return names;
}

std::string json_report(const io::SafetensorsFile& file, const std::vector<io::BlockEntry>& entries,
                        const std::vector<io::RefusedBlock>& refused_blocks) {
  const std::string tensors = io::json_array(file.tensors(), [](const io::TensorInfo& tensor) {
    return io::JsonObject()
        .add("name", tensor.name)
        .add("dtype", tensor.dtype_name)
        .add_json("shape", io::json_array(tensor.shape))
        .text();
  });
  const std::string blocks = io::json_array(entries, [](const io::BlockEntry& block) {
    return io::JsonObject()
        .add("prefix", block.prefix)
        .add("style", block.style)
        .add("channels", block.channels)
        .add("norm", to_string(block.norm))
        .add_json("assumed", assumed_json(block.assumed, usual_spec(block)))
        .add_json("needed", io::json_array(names_of(block.needed)))
        .text();
  });
  const std::string refused = io::json_array(refused_blocks, [](const io::RefusedBlock& block) {
    return io::JsonObject().add("prefix", block.prefix).add("style", block.style).add("reason", block.reason).text();
  });
  return io::JsonObject().add_json("tensors", tensors).add_json("blocks", blocks).add_json("refused", refused).text() + "\n";
}

/// What the file does not tell: "; needs --heads; assumes gn with 32 groups, eps 1e-05".
std::string describe_untold(const io::BlockEntry& block) {
  const std::string needed = untold_options(block.needed), assumed = describe_assumed(block.assumed, usual_spec(block));
  return (needed.empty() ? "" : "; needs " + needed) + (assumed.empty() ? "" : "; assumes " + assumed);
}

std::string text_report(const io::SafetensorsFile& file, const std::vector<io::BlockEntry>& entries,
                        const std::vector<io::RefusedBlock>& refused_blocks) {
  std::size_t width = 0;
  for (const io::TensorInfo& tensor : file.tensors()) width = std::max(width, tensor.name.size());
  std::string text = "tensors: " + std::to_string(file.tensors().size()) + "\n";
  for (const io::TensorInfo& tensor : file.tensors())
    text += "  " + one_line(tensor.name) + std::string(width - tensor.name.size() + 2, ' ') + tensor.dtype_name + "  " +
            describe_shape(tensor.shape) + "\n";
  text += "attention blocks: " + std::to_string(entries.size()) + "\n";
  for (const io::BlockEntry& block : entries)
    text += "  prefix '" + one_line(block.prefix) + "', " + block.style + ", " + std::to_string(block.channels) +
            " channels, norm " + to_string(block.norm) + describe_untold(block) + "\n";
  if (!refused_blocks.empty()) text += "refused: " + std::to_string(refused_blocks.size()) + "\n";
  for (const io::RefusedBlock& block : refused_blocks)
    text += "  prefix '" + one_line(block.prefix) + "', " + block.style + ": " + block.reason + "\n";
  return text;
}

}  // namespace

std::string inspect_command(const InspectOptions& options) {
  io::SafetensorsFile file;
  std::vector<io::BlockEntry> blocks;
  check(io::SafetensorsFile::open(options.weights, file));
  check(io::find_blocks(file, blocks));
  std::vector<io::RefusedBlock> refused;
  check(io::find_refused_blocks(file, refused));
  std::erase_if(blocks, [&](const io::BlockEntry& block) {
    return std::ranges::find(refused, block.prefix, &io::RefusedBlock::prefix) != refused.end();
  });
  return options.json ? json_report(file, blocks, refused) : text_report(file, blocks, refused);
}

}  // namespace edgeattn::cli
