#pragma once

#include <string_view>

namespace edgeattn::io {

/// Whether `key` is the name of what the numbers of the quantised tensor `tensor` are to be multiplied by, or says that there is
/// such: `to_q.weight_scale`, `to_q.scale_weight`, `to_q.weight_scale_inv` or `scaled_fp8` for `to_q.weight`.
bool is_scale_key(std::string_view key, std::string_view tensor) noexcept;

}  // namespace edgeattn::io
