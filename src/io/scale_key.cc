#include "scale_key.h"

#include <algorithm>

#include "after_last.h"

namespace edgeattn::io {
namespace {

/// What code bases call scales, zero points and ranges.
bool speaks_of_scales(std::string_view name) noexcept {
  constexpr std::string_view kWords[] = {"scale", "quant", "amax"};
  return std::ranges::any_of(kWords, [&](std::string_view word) { return name.find(word) != std::string_view::npos; });
}

}  // namespace

bool is_scale_key(std::string_view key, std::string_view tensor) noexcept {
  constexpr std::string_view kWholeModel = "scaled_fp8";
  if (key == tensor) return false;
  if (key.ends_with(kWholeModel)) {
    const std::string_view model = key.substr(0, key.size() - kWholeModel.size());
    return (model.empty() || model.ends_with('.')) && tensor.starts_with(model);
  }
  const std::size_t module_end = after_last(tensor, '.');
  if (!key.starts_with(tensor.substr(0, module_end))) return false;
  const std::string_view rest = key.substr(module_end), name = tensor.substr(module_end);
  return speaks_of_scales(rest.substr(0, rest.find('.'))) || (rest.starts_with(name) && speaks_of_scales(rest));
}

}  // namespace edgeattn::io
