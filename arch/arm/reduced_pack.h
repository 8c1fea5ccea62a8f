#pragma once

#include "../simd/for_lanes.h"
#include "reduced_panels.h"

/// Operands of products, made of their rows. The including source brings in neon.h, and says what groups are: kTraits.
namespace edgeattn {
namespace {

constexpr size_t kVectorBytes = sizeof(uint8x16_t);

/// [a 0, b 0, a 2, b 2, …] and [a 1, b 1, a 3, b 3, …], of elements of kBytes.
template <size_t kBytes>
inline void exchange(uint8x16_t& a, uint8x16_t& b) {
  const uint8x16_t first = a, second = b;
  if constexpr (kBytes == 2) {
    a = vreinterpretq_u8_u16(vtrn1q_u16(vreinterpretq_u16_u8(first), vreinterpretq_u16_u8(second)));
    b = vreinterpretq_u8_u16(vtrn2q_u16(vreinterpretq_u16_u8(first), vreinterpretq_u16_u8(second)));
  } else if constexpr (kBytes == 4) {
    a = vreinterpretq_u8_u32(vtrn1q_u32(vreinterpretq_u32_u8(first), vreinterpretq_u32_u8(second)));
    b = vreinterpretq_u8_u32(vtrn2q_u32(vreinterpretq_u32_u8(first), vreinterpretq_u32_u8(second)));
  } else {
    static_assert(kBytes == 8);
    a = vreinterpretq_u8_u64(vtrn1q_u64(vreinterpretq_u64_u8(first), vreinterpretq_u64_u8(second)));
    b = vreinterpretq_u8_u64(vtrn2q_u64(vreinterpretq_u64_u8(first), vreinterpretq_u64_u8(second)));
  }
}

/// rows[i] group j ↔ rows[j] group i.
template <size_t kGroup, size_t kBytes = kGroup>
[[gnu::always_inline]] inline void transpose_groups(uint8x16_t (&rows)[kVectorBytes / kGroup]) {
  constexpr size_t kDistance = kBytes / kGroup;
#pragma GCC unroll 8
  for (size_t i = 0; i < kVectorBytes / kGroup; ++i)
    if (i % (2 * kDistance) < kDistance) exchange<kBytes>(rows[i], rows[i + kDistance]);
  if constexpr (2 * kBytes < kVectorBytes) transpose_groups<kGroup, 2 * kBytes>(rows);
}

/// As many rows as a vector has groups at a time.
template <size_t kGroup>
inline void pack_columns(const uint8_t* rows, size_t stride_bytes, size_t count, size_t padded, size_t groups, uint8_t* columns,
                         size_t nr) {
  constexpr size_t kBlock = kVectorBytes / kGroup;
  for (size_t t = 0; t < padded; t += kBlock, rows += kBlock * stride_bytes, columns += kVectorBytes) {
    const size_t live = t < count ? smaller_of(count - t, kBlock) : 0;
    const size_t width = smaller_of(padded - t, kBlock) * kGroup;
    for (size_t g = 0; g < groups; g += kBlock) {
      uint8x16_t block[kBlock];
#pragma GCC unroll 8
      for (size_t i = 0; i < kBlock; ++i) block[i] = i < live ? vld1q_u8(rows + i * stride_bytes + g * kGroup) : vdupq_n_u8(0);
      transpose_groups<kGroup>(block);
#pragma GCC unroll 8
      for (size_t i = 0; i < kBlock; ++i) {
        if (g + i >= groups) break;
        uint8_t* const to = columns + (g + i) * nr * kGroup;
        if (width == kVectorBytes) {
          vst1q_u8(to, block[i]);
        } else {
          __builtin_memcpy(to, &block[i], width);
        }
      }
    }
  }
}

/// Tokens of a group, and columns that are packed at a time.
constexpr size_t kTokens = kTraits.half_group / sizeof(Half);
constexpr size_t kEight = kVectorBytes / sizeof(Half);
static_assert(kTraits.nr % kEight == 0, "eight columns are of one panel");

/// Eight columns of a group of tokens.
inline void load_group(const Half* from, uint16x8_t (&tokens)[1]) { tokens[0] = vld1q_u16(from); }
inline void store_group(Half* to, const uint16x8_t (&tokens)[1]) { vst1q_u16(to, tokens[0]); }
inline void load_group(const Half* from, uint16x8_t (&tokens)[4]) {
  const uint16x8x4_t loaded = vld4q_u16(from);
  for (size_t i = 0; i < 4; ++i) tokens[i] = loaded.val[i];
}
inline void store_group(Half* to, const uint16x8_t (&tokens)[4]) {
  const uint16x8x4_t stored = {{tokens[0], tokens[1], tokens[2], tokens[3]}};
  vst4q_u16(to, stored);
}

/// Where the group of `token` begins, at `column`.
inline Half* group_at(const ReducedPanels& values, size_t token, size_t column) {
  return half_groups(values, token / kTokens * kTokens, column) + column % values.nr * kTokens;
}

}  // namespace

void EDGEATTN_KERNEL(pack_half_columns)(const uint8_t* rows, size_t stride_bytes, size_t count, size_t padded, size_t groups,
                                        uint8_t* columns, size_t nr) {
  pack_columns<kTraits.half_group>(rows, stride_bytes, count, padded, groups, columns, nr);
}

void EDGEATTN_KERNEL(pack_int8_columns)(const uint8_t* rows, size_t stride_bytes, size_t count, size_t padded, size_t groups,
                                        uint8_t* columns, size_t nr) {
  pack_columns<kTraits.int8_group>(rows, stride_bytes, count, padded, groups, columns, nr);
}

void EDGEATTN_KERNEL(pack_rows)(const Half* rows, size_t count, size_t channels, size_t stride, const ReducedPanels& values,
                                size_t first_token) {
  for (size_t c = 0; c < round_up(channels, values.nr); c += kEight) {
    if (first_token == 0) {
      auto* const biases = reinterpret_cast<float*>(values.data + c / values.nr * values.panel_bytes) + c % values.nr;
      vst1q_f32(biases, zero());
      vst1q_f32(biases + kLanes, zero());
    }
    Half* to = group_at(values, first_token, c);
    for (size_t t = 0; t < count; t += kTokens, to += kTokens * values.nr) {
      uint16x8_t tokens[kTokens];
      for (size_t i = 0; i < kTokens; ++i)
        tokens[i] = t + i < count && c < channels ? vld1q_u16(rows + (t + i) * stride + c) : vdupq_n_u16(0);
      store_group(to, tokens);
    }
  }
}

void EDGEATTN_KERNEL(unpack_half_rows)(const ReducedPanels& values, size_t first_token, size_t count, size_t channels,
                                       Half* out, size_t out_stride) {
  for (size_t c = 0; c < channels; c += kEight) {
    for (size_t t = 0; t < count;) {
      const size_t skipped = (first_token + t) % kTokens;
      const size_t taken = smaller_of(kTokens - skipped, count - t);
      uint16x8_t tokens[kTokens];
      load_group(group_at(values, first_token + t, c), tokens);
      Half* const to = out + t * out_stride + c;
      for (size_t i = 0; i < kTokens; ++i)
        if (skipped <= i && i < skipped + taken) vst1q_u16(to + (i - skipped) * out_stride, tokens[i]);
      t += taken;
    }
  }
}

}  // namespace edgeattn
