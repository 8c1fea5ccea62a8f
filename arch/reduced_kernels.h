#pragma once

#include <stddef.h>
#include <stdint.h>

/// The kernels of reduced precision: products of 16-bit floats and of 8-bit integers, and what makes their operands out of rows of
/// float32. One table, one contract each, a variant for every set of instructions; the rules of kernels.h hold.
///
/// Rows are of activations, row-major. Those of 8 and 16 bits are padded: whoever writes one also writes zeros from its last
/// element up to the next multiple of kRowUnit bytes, and whoever reads one may read so far. Their strides are multiples of kRowUnit
/// bytes, and they are 4-byte aligned.
namespace edgeattn {

inline constexpr size_t kRowUnit = 16;

/// The bits of a 16-bit float: bfloat16, or IEEE half precision where ReducedTraits::half_is_fp16.
using Half = uint16_t;

/// Bytes of a panel's header for each of its columns.
inline constexpr size_t kHalfHeader = sizeof(float);
inline constexpr size_t kInt8Header = sizeof(float) + sizeof(int32_t);

/// A packed operand of 8-bit or 16-bit elements in memory; the layout is PanelLayout of edgeattn/machine.h.
///
/// Columns are cut in panels of nr. A panel is a header and then its groups: a group holds, for every column in turn,
/// `group` bytes of consecutive depth. The header of 16-bit operands is nr float32 biases; that of 8-bit ones is nr float32 scales
/// and then nr int32 compensations. Padding, of the depth up to whole groups and of the last panel's columns, is zero, headers
/// included.
struct ReducedPanels {
  uint8_t* data;       ///< 64-byte aligned
  size_t nr;           ///< columns of a panel, a multiple of 8
  size_t panel_bytes;  ///< from panel to panel: a multiple of 64 if nr is one of 16, else of 16
};

/// out[i, c] = rows[i, c]·(1 / sum[i]), rounded to 16 bits: to nearest, ties to even.
///
/// @param rows  [count, channels], row stride `stride`
/// @param sum   [count]; null means 1. NaN makes the row NaN
/// @param out   [count, channels], row stride `out_stride`
/// What is too large for the format becomes infinite; what is too small may become zero; NaN stays NaN.
using round_rows_fn = void(const float* rows, const float* sum, size_t count, size_t channels, size_t stride, Half* out,
                           size_t out_stride);

/// Quantises rows to 8 bits, each with a scale of its own: with v = rows[i, c] - center[c] and m = max_c |v|,
/// scales[i] = m / 127 and out[i, c] = round(v·(127 / m)) ^ flip, to nearest, ties to even.
///
/// @param rows    [count, channels], row stride `stride`
/// @param center  [channels]; null means 0
/// @param flip    0 for two's complement, 0x80 for unsigned bytes that are 128 too large. The padding of a row is zero, not flipped
/// @param out     [count, channels], row stride `out_stride`
/// @param scales  [count]: 0, with all of the row 0 ^ flip, where m < 2⁻¹⁰⁰; NaN where a value of the row is not finite
/// @param sums    [count]: Σ_c round(v·(127 / m)), without flip; null leaves them out
/// Bits are the same on every instruction set; bytes and the sum of a row whose scale is NaN are unspecified.
using quantize_rows_fn = void(const float* rows, const float* center, size_t count, size_t channels, size_t stride, uint8_t flip,
                              uint8_t* out, size_t out_stride, float* scales, int32_t* sums);

/// Writes rows as columns of one panel: group g of row t at columns + (g·nr + t)·group; in the columns [count, padded) zeros.
///
/// @param rows     [count] rows of `groups` groups, row stride `stride_bytes`
/// @param columns  in the panel's first group, at the column that row 0 becomes
using pack_columns_fn = void(const uint8_t* rows, size_t stride_bytes, size_t count, size_t padded, size_t groups,
                             uint8_t* columns, size_t nr);

/// Writes rows of 16 bits as rows of an operand: element (first_token + t, c) of `values` is rows[t, c].
///
/// @param rows         [count, channels], row stride `stride`
/// @param first_token  a multiple of the elements of a group
/// Zero are: the tokens past the last one up to a whole group, the columns past the last channel, and with first_token 0 the
/// biases.
using pack_rows_fn = void(const Half* rows, size_t count, size_t channels, size_t stride, const ReducedPanels& values,
                          size_t first_token);

/// Copies rows of such an operand back: out[t, c] = element (first_token + t, c) of `values`; any first_token.
///
/// @param out  [count, channels], row stride `out_stride`
using unpack_half_rows_fn = void(const ReducedPanels& values, size_t first_token, size_t count, size_t channels, Half* out,
                                 size_t out_stride);

/// softmax_fn of kernels.h, whose weights are written as 16-bit rows instead, rounded to nearest. The sum is of the weights
/// before they are rounded.
///
/// @param scores   [rows, keys], row stride `stride`; read only
/// @param weights  [rows, keys], row stride `weight_stride`
using softmax_half_fn = void(const float* scores, size_t rows, size_t keys, size_t stride, float* max, float* sum, float* rescale,
                             Half* weights, size_t weight_stride);

/// A product of 16-bit rows with a 16-bit operand.
struct HalfProduct {
  const Half* input;      ///< [rows, inputs], row stride `input_stride`
  size_t input_stride;
  size_t rows;
  ReducedPanels operand;  ///< inputs by outputs
  size_t inputs;
  size_t outputs;
  const float* rescale;   ///< [rows], each in [0, 1]; null for a product that begins with the operand's biases
  float* out;             ///< [rows, outputs], row stride `out_stride`; read with `rescale` only
  size_t out_stride;
};

/// out[i, j] = begin + Σ_k input[i, k]·operand[k, j] with begin = bias[j], or out[i, j]·rescale[i]: there a rescale of 0 discards
/// what out held, even NaN.
///
/// Products are exact or rounded once to float32, sums are of float32 (where half_is_fp16, sums of up to 32 products may be of
/// fp16), in an order that depends on inputs alone. Not finite inputs make outputs that are not finite. Denormal elements
/// may count as zero.
using gemm_half_fn = void(const HalfProduct& product);

/// A product of 8-bit rows with an 8-bit operand.
struct Int8Product {
  const uint8_t* input;   ///< [rows, inputs], row stride `input_stride`: quantised with ReducedTraits::flip
  size_t input_stride;
  const float* scales;    ///< [rows]
  size_t rows;
  ReducedPanels operand;  ///< inputs by outputs, two's complement
  size_t inputs;          ///< at most kMostInt8Inputs
  size_t outputs;
  float* out;             ///< [rows, outputs], row stride `out_stride`
  size_t out_stride;
};

/// Sums of so many products do not overflow int32.
inline constexpr size_t kMostInt8Inputs = 32768;

/// out[i, j] = (compensation[j] + Σ_k input[i, k]·operand[k, j])·(scales[i]·scale[j]), the sum in int32, exact, then rounded to float32
/// and multiplied. Bits are the same on every instruction set.
using gemm_int8_fn = void(const Int8Product& product);

struct ReducedKernels {
  round_rows_fn* round_rows;
  quantize_rows_fn* quantize_rows;
  pack_columns_fn* pack_half_columns;  ///< for groups of half_group bytes
  pack_columns_fn* pack_int8_columns;  ///< for groups of int8_group bytes
  pack_rows_fn* pack_rows;
  unpack_half_rows_fn* unpack_half_rows;
  softmax_half_fn* softmax_half;
  gemm_half_fn* gemm_half;
  gemm_int8_fn* gemm_int8;
};

/// What operands a table's kernels take.
struct ReducedTraits {
  size_t nr;          ///< columns of a panel: 64 at most
  size_t mr;          ///< rows that the products work on at once
  size_t half_group;  ///< bytes of a group of 16-bit operands: 2, 4 or 8
  size_t int8_group;  ///< bytes of a group of 8-bit operands: 4 or 8
  uint8_t flip;       ///< of the rows that gemm_int8 multiplies; where it is 0x80, compensation[j] is -128·Σ_k operand[k, j], else 0
  bool half_is_fp16;
};

/// Variants that belong together, because they agree on the layout of their operands.
enum class ReducedSet : uint8_t {
  kScalar,   ///< portable; bfloat16
  kAvx512,   ///< AVX-512 F, BW, DQ, VL, BF16, VNNI
  kDotprod,  ///< aarch64 with dot products and fp16 arithmetic (Cortex-A55, A75, A76 and later)
  kI8mm,     ///< aarch64 with matrix products of 8-bit integers and of bfloat16 (Cortex-A510, A710, X2 and later)
};

/// Whether this build holds the variants of `set`.
bool reduced_built(ReducedSet set);

/// Fills the table with one set's variants. A pure function; `set` must be built and supported by the processor.
void reduced_init(ReducedKernels& kernels, ReducedTraits& traits, ReducedSet set);

#define EDGEATTN_DECLARE_REDUCED(set)              \
  round_rows_fn round_rows_##set;                  \
  quantize_rows_fn quantize_rows_##set;            \
  pack_columns_fn pack_half_columns_##set;         \
  pack_columns_fn pack_int8_columns_##set;         \
  pack_rows_fn pack_rows_##set;                    \
  unpack_half_rows_fn unpack_half_rows_##set;      \
  softmax_half_fn softmax_half_##set;              \
  gemm_half_fn gemm_half_##set;                    \
  gemm_int8_fn gemm_int8_##set

EDGEATTN_DECLARE_REDUCED(scalar);
EDGEATTN_DECLARE_REDUCED(avx512);
EDGEATTN_DECLARE_REDUCED(dotprod);
EDGEATTN_DECLARE_REDUCED(i8mm);

#undef EDGEATTN_DECLARE_REDUCED

}  // namespace edgeattn
