#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "edgeattn/io.h"
#include "errors.h"
#include "key_style.h"

namespace edgeattn::io {
namespace {

/// Loads the block as if all that its file does not tell were told.
Status try_block(const SafetensorsFile& file, const std::string& prefix, const KeyStyle& style) {
  BlockRequest request{.prefix = &prefix};
  if (!style.folded) {
    request.groups = 1;
    request.eps = 1e-5;
    request.heads = 1;
  }
  BlockWeights weights;
  return load_block(file, request, weights);
}

/// A message without the path that it starts with.
std::string reason_of(const SafetensorsFile& file, const Status& status) {
  const std::string_view message = status.message();
  for (const std::string& path : file.files()) {
    const std::string start = std::string(Shown(path).c_str()) + ": ";
    if (message.starts_with(start)) return std::string(message.substr(start.size()));
  }
  return std::string(message);
}

}  // namespace

Status find_refused_blocks(const SafetensorsFile& file, std::vector<RefusedBlock>& blocks) noexcept {
  return guarded(StatusCode::kFormat, file.path(), [&]() -> Status {
    std::vector<RefusedBlock> refused;
    for (const BlockPlace& place : block_places(file)) {
      const Status status = try_block(file, place.prefix, *place.style);
      if (status.code() == StatusCode::kOutOfMemory) return status;
      if (!status.ok()) refused.push_back({.prefix = place.prefix, .style = place.style->name, .reason = reason_of(file, status)});
    }
    blocks = std::move(refused);
    return {};
  });
}

}  // namespace edgeattn::io
