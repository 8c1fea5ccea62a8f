#include "block_norm.h"

#include <string>

#include "errors.h"
#include "foreign.h"

namespace edgeattn::io {
namespace {

/// The first tensor of a norm of that name; null if there is none.
const TensorInfo* find_norm_tensor(const SafetensorsFile& file, const BlockPlace& place, const char* norm) {
  for (const NormKey& key : kNormKeys) {
    if (const TensorInfo* tensor = file.find(key.tensor(place, norm))) return tensor;
  }
  return nullptr;
}

}  // namespace

Status find_norm(const SafetensorsFile& file, const BlockPlace& place, const char*& name) {
  name = nullptr;
  for (const char* norm : place.style->norms) {
    const TensorInfo* tensor = find_norm_tensor(file, place, norm);
    if (tensor == nullptr) continue;
    if (name != nullptr)
      return tensor_error(StatusCode::kUnsupported, file.path(), tensor->name, "expected one norm in a block, given '",
                          Shown(find_norm_tensor(file, place, name)->name).c_str(), "' too");
    name = norm;
  }
  return {};
}

Status check_other_norm_keys(const SafetensorsFile& file, const BlockPlace& place, Norm norm, const char* name) {
  for (const NormKey& key : kNormKeys) {
    if (name == nullptr || key.belongs_to(norm)) continue;
    if (const TensorInfo* tensor = file.find(key.tensor(place, name)))
      return tensor_error(StatusCode::kInvalidArgument, file.path(), tensor->name, "expected no such tensor with norm '",
                          to_string(norm), "', given one");
  }
  return {};
}

Status missing_norm(const SafetensorsFile& file, const SortedKeys& keys, const BlockPlace& place, std::size_t channels,
                    Diagnosis diagnosis) {
  const auto fail = [&](auto... parts) {
    return tensor_error(StatusCode::kNotFound, file.path(), kNormKeys[0].tensor(place, place.style->norms[0]),
                        "is missing, expected shape [", channels, "]", parts...);
  };
  const TensorInfo* outside = diagnosis == Diagnosis::kBest ? norm_above(file, keys, place.prefix, channels) : nullptr;
  if (outside != nullptr)
    return fail("; '", Shown(outside->name).c_str(), "' is outside of the block: norm x by it before, and say --norm none");
  if (place.style->may_lack_norm) return fail("; for a block that has no norm say --norm none");
  return fail();
}

}  // namespace edgeattn::io
