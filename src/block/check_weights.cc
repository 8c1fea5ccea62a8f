#include <cmath>
#include <cstdint>

#include "block/fold.h"

namespace edgeattn {
namespace {

struct NamedTensor {
  const char* name;
  const float* values;
  std::size_t count;
  bool required;
};

Status check_tensor(const NamedTensor& tensor) noexcept {
  if (tensor.values == nullptr) {
    if (!tensor.required) return {};
    return Status::error(StatusCode::kInvalidArgument, "weights: ", tensor.name, " is missing, ", tensor.count,
                         " values required");
  }
  if (reinterpret_cast<std::uintptr_t>(tensor.values) % alignof(float) != 0)
    return Status::error(StatusCode::kInvalidArgument, "weights: ", tensor.name, " is not aligned to 4 bytes");
  for (std::size_t i = 0; i < tensor.count; ++i)
    if (!std::isfinite(tensor.values[i]))
      return Status::error(StatusCode::kInvalidArgument, "weights: ", tensor.name, " is not finite at index ", i);
  return {};
}

}  // namespace

Status check_weights(const Spec& spec, const Weights& weights) noexcept {
  const std::size_t c = spec.channels;
  const bool folded = weights.score_weight != nullptr;
  if (folded && weights.qkv_weight != nullptr)
    return Status::error(StatusCode::kInvalidArgument, "weights: to_qkv.weight beside score.weight, which replaces it");
  if (folded && spec.heads > 1)
    return Status::error(StatusCode::kInvalidArgument, "weights: folded weights have one head, the spec has ", spec.heads);
  const bool has_norm = spec.norm != Norm::kNone;
  const bool has_statistics = spec.norm == Norm::kBatch;
  const NamedTensor tensors[] = {
      {"norm.weight", has_norm ? weights.norm_weight : nullptr, c, has_norm},
      {"norm.bias", has_norm ? weights.norm_bias : nullptr, c, has_norm},
      {"norm.running_mean", has_statistics ? weights.running_mean : nullptr, c, has_statistics},
      {"norm.running_var", has_statistics ? weights.running_var : nullptr, c, has_statistics},
      {"to_qkv.weight", weights.qkv_weight, 3 * c * c, !folded},
      {"to_qkv.bias", weights.qkv_bias, 3 * c, false},
      {"score.weight", weights.score_weight, c * c, folded},
      {"score.bias", weights.score_bias, c, false},
      {folded ? "out.weight" : "to_out.weight", weights.out_weight, c * c, true},
      {folded ? "out.bias" : "to_out.bias", weights.out_bias, c, false},
  };
  for (const NamedTensor& tensor : tensors) EDGEATTN_TRY(check_tensor(tensor));
  if (has_statistics)
    for (std::size_t i = 0; i < c; ++i)
      if (weights.running_var[i] < 0)
        return Status::error(StatusCode::kInvalidArgument, "weights: norm.running_var is negative at index ", i);
  return {};
}

}  // namespace edgeattn
