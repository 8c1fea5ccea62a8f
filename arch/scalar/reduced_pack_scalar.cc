#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "reduced_panels.h"

namespace edgeattn {
namespace {

/// Bytes of a group of this set's operands, of 16-bit and of 8-bit elements alike.
constexpr std::size_t kGroupBytes = 4;
/// Tokens of a group.
constexpr std::size_t kTokens = kGroupBytes / sizeof(Half);

void pack_columns(const std::uint8_t* rows, std::size_t stride_bytes, std::size_t count, std::size_t padded, std::size_t groups,
                  std::uint8_t* columns, std::size_t nr) {
  for (std::size_t g = 0; g < groups; ++g, columns += nr * kGroupBytes) {
    for (std::size_t t = 0; t < count; ++t) std::memcpy(columns + t * kGroupBytes, rows + t * stride_bytes + g * kGroupBytes, kGroupBytes);
    std::memset(columns + count * kGroupBytes, 0, (padded - count) * kGroupBytes);
  }
}

}  // namespace

void pack_half_columns_scalar(const std::uint8_t* rows, std::size_t stride_bytes, std::size_t count, std::size_t padded,
                              std::size_t groups, std::uint8_t* columns, std::size_t nr) {
  pack_columns(rows, stride_bytes, count, padded, groups, columns, nr);
}

void pack_int8_columns_scalar(const std::uint8_t* rows, std::size_t stride_bytes, std::size_t count, std::size_t padded,
                              std::size_t groups, std::uint8_t* columns, std::size_t nr) {
  pack_columns(rows, stride_bytes, count, padded, groups, columns, nr);
}

void pack_rows_scalar(const Half* rows, std::size_t count, std::size_t channels, std::size_t stride, const ReducedPanels& values,
                      std::size_t first_token) {
  for (std::size_t first = 0; first < channels; first += values.nr) {
    const std::size_t columns = std::min(values.nr, channels - first);
    if (first_token == 0) std::memset(values.data + first / values.nr * values.panel_bytes, 0, values.nr * kHalfHeader);
    Half* group = half_groups(values, first_token, first);
    for (std::size_t token = 0; token < count; token += kTokens, group += values.nr * kTokens) {
      for (std::size_t t = 0; t < kTokens; ++t) {
        const Half* const row = rows + (token + t) * stride + first;
        const std::size_t live = token + t < count ? columns : 0;
        for (std::size_t c = 0; c < live; ++c) group[c * kTokens + t] = row[c];
        for (std::size_t c = live; c < values.nr; ++c) group[c * kTokens + t] = 0;
      }
    }
  }
}

void unpack_half_rows_scalar(const ReducedPanels& values, std::size_t first_token, std::size_t count, std::size_t channels, Half* out,
                             std::size_t out_stride) {
  for (std::size_t t = 0; t < count; ++t, out += out_stride) {
    const std::size_t token = first_token + t;
    for (std::size_t first = 0; first < channels; first += values.nr) {
      const Half* const group = half_groups(values, token / kTokens * kTokens, first) + token % kTokens;
      for (std::size_t c = 0; c < std::min(values.nr, channels - first); ++c) out[first + c] = group[c * kTokens];
    }
    std::fill(out + channels, out + padded_row<Half>(channels), Half{0});
  }
}

}  // namespace edgeattn
