#pragma once

#include <stddef.h>
#include <stdint.h>

/// The kernels between the GEMMs: one table, one contract each, a variant for every instruction set.
///
/// Files that are compiled with ISA flags include only this header, intrinsics and C headers, and keep their helpers in an
/// anonymous namespace. Strides are in elements. Sizes may be any number ≥ 1 unless said otherwise: tails are masked, nothing
/// outside the stated ranges is read or written. Pointers are 4-byte aligned unless said otherwise and do not overlap
/// unless said otherwise. No kernel keeps state, allocates, or depends on the caller's denormal mode for normal inputs.
namespace edgeattn {

/// A packed GEMM operand in memory; the layout is PanelLayout of edgeattn/machine.h.
struct Panels {
  float* data;          ///< 64-byte aligned
  size_t nr;            ///< columns of a panel
  size_t panel_stride;  ///< elements from panel to panel, nr·(1 + depth)
  size_t kr;            ///< 1 for plain layouts
  size_t sr;            ///< 1 for plain layouts
};

/// Sums of one channel over some tokens, shifted by the channel's pivot p: Σ(x - p) and Σ(x - p)², in float64.
struct ShiftedSums {
  double sum;
  double sum_of_squares;  ///< not finite if, and only if, a value or the pivot was not finite
};

/// Shifted sums of `channels` channels over `tokens` tokens.
///
/// @param x       [tokens, channels] or [channels, tokens]: element (t, c) at x[t·token_stride + c·channel_stride]; one of the
///                strides is 1
/// @param pivots  [channels], channel_stride apart: a value of each channel's own data, so that the shifted sums are well
///                conditioned whatever the mean (Chan, Golub, LeVeque 1983)
/// @param sums    [channels]
/// The order of additions depends on tokens and the strides alone. Relative error of each sum of squares ≤ (tokens + 1)·2⁻⁵².
using statistics_fn = void(const float* x, const float* pivots, size_t tokens, size_t channels, size_t token_stride,
                           size_t channel_stride, ShiftedSums* sums);

/// One strip of tokens, normalised and written into both attention operands.
struct PackStrip {
  const float* x;         ///< token 0 of the strip; element (t, c) at x[t·token_stride + c·channel_stride]
  size_t token_stride;    ///< 1 for NCHW
  size_t channel_stride;  ///< 1 for NHWC
  size_t tokens;          ///< tokens of this strip
  size_t first_token;     ///< of the strip within its key block; a multiple of keys.nr and of values.kr·values.sr
  size_t channels;
  const float* mean;      ///< [channels]
  const float* scale;     ///< [channels]
  const float* shift;     ///< [channels]
  Panels keys;            ///< K side of the key block: columns are tokens, depth is channels; null data leaves it out
  Panels values;          ///< V side of the key block: columns are channels, depth is tokens; null data leaves it out
};

/// Writes x̂[t, c] = (x[t, c] - mean[c])·scale[c] + shift[c] (one subtraction, one fused multiply-add) as column
/// first_token + t of `keys` and as row first_token + t of `values`.
///
/// All that belongs to the strip is written: the panels of `keys` from first_token on with zero biases and zeros in the columns
/// past the last token, and in `values` zeros in the columns past the last channel; the strip with first_token 0 writes the
/// zero biases of `values`. Both operands plain (kr = sr = 1), keys.nr and values.nr multiples of 8. Bits are the same on every ISA.
using pack_fn = void(const PackStrip& strip);

/// Copies rows of the V side back to row-major: out[i, c] = x̂[first_token + i, c] for `rows` tokens of one key block.
///
/// @param out  [rows, channels], row stride `stride`
/// `values` plain.
using unpack_rows_fn = void(const Panels& values, size_t first_token, size_t rows, size_t channels, float* out, size_t stride);

/// out[i] = 2^x[i]. Max error 2 ULP on [-126, 0]; exactly 1 at 0; 0 below -126; NaN gives NaN; above 0 unspecified.
/// out may be x.
using exp2_fn = void(const float* x, float* out, size_t count);

/// The online softmax of a tile over one more key block, in base 2.
///
/// For every row: m' = max(m, max_j s[j]); s[j] ← 2^(s[j] - m'); rescale = 2^(m - m'); l ← l·rescale + Σ_j s[j]; m ← m'.
/// @param scores   [rows, keys], row stride `stride`; read, and overwritten with the weights
/// @param max      [rows], m: the largest score so far; -inf before the first key block
/// @param sum      [rows], l: 0 before the first key block. Becomes NaN, and stays NaN, in a row that met a score that is not finite
/// @param rescale  [rows], written: 0 at the first key block
/// 2^x as exp2_fn. The order of additions depends on keys alone.
using softmax_fn = void(float* scores, size_t rows, size_t keys, size_t stride, float* max, float* sum, float* rescale);

/// Rescales a tile of mixed values and adds one key block's contribution: acc[i, c] = acc[i, c]·rescale[i] + mixed[i, c].
///
/// @param acc      [rows, channels], row stride `stride`; read and written
/// @param mixed    [rows, channels], row stride `stride`
/// @param rescale  [rows], each in [0, 1]; 0 discards what acc held, even NaN
/// A product and a sum, fused where the instruction set does that.
using accumulate_fn = void(float* acc, const float* mixed, const float* rescale, size_t rows, size_t channels, size_t stride);

/// Divides every row by its softmax sum: acc[i, c] ← acc[i, c]·(1 / sum[i]); NaN where sum[i] is NaN.
using normalize_rows_fn = void(float* acc, const float* sum, size_t rows, size_t channels, size_t stride);

/// poison[i] = 0 if all of y[i, 0 … channels) is finite, else NaN. y has row stride `stride`.
using poison_rows_fn = void(const float* y, size_t rows, size_t channels, size_t stride, float* poison);

/// One tile of outputs, on its way back to the layout of x.
struct OutputTile {
  const float* tile;      ///< [tokens, channels], row stride `stride`
  size_t stride;
  const float* poison;    ///< [tokens]: 0, or NaN for tokens that become NaN in all channels
  const float* x;         ///< element (t, c) at x[t·token_stride + c·channel_stride]; null leaves the residual out
  float* y;               ///< strides of x; may be x itself
  size_t token_stride;    ///< 1 for NCHW
  size_t channel_stride;  ///< 1 for NHWC
  size_t tokens;
  size_t channels;
  float factor = 1;       ///< on the sum; 1 leaves its bits alone
};

/// y[t, c] = (x[t, c] + (tile[t, c] + poison[t]))·factor, not fused. Bits are the same on every ISA.
using add_residual_fn = void(const OutputTile& output);

/// The most rows and columns of a tile of folded weights: whole blocks of registers on every instruction set.
constexpr size_t kFoldRows = 24;
constexpr size_t kFoldColumns = 64;
/// Terms of the sums whose factors are kept in float64 at once: as many as leave tile and factors, 23 KiB, in the first cache.
constexpr size_t kFoldTerms = 16;

/// A tile of a product of weights.
struct FoldTile {
  const float* left;   ///< element (i, k) at left[i·left_row + k·left_term]; one of the strides is 1
  size_t left_row;
  size_t left_term;
  const float* right;  ///< [terms, columns], row stride `right_term`
  size_t right_term;
  size_t rows;         ///< ≤ kFoldRows
  size_t columns;      ///< ≤ kFoldColumns
  size_t terms;
  double* sums;        ///< 64-byte aligned; [kFoldRows, kFoldColumns], all of it overwritten, past `rows` and `columns` with anything
  double* factors;     ///< 64-byte aligned; [kFoldTerms, kFoldRows + kFoldColumns], where the kernel works
};

/// sums[i, j] = Σ_k left(i, k)·right[k, j] in float64, one chain with k ascending.
///
/// Products of floats are exact in float64, so that fused or not makes no difference: bits are the same on every ISA.
using fold_fn = void(const FoldTile& tile);

/// out[c, r] = in[r, c], bits as they are, whatever type of 4 bytes they are of.
///
/// @param in   [rows, columns], row stride `in_stride`
/// @param out  [columns, rows], row stride `out_stride`
using transpose_fn = void(const float* in, size_t in_stride, float* out, size_t out_stride, size_t rows, size_t columns);

/// Rows times a packed operand.
struct PanelProduct {
  const float* input;     ///< [rows, inputs], row stride `input_stride`
  size_t input_stride;
  size_t rows;
  size_t inputs;
  const float* operand;   ///< panels of nr biases and `inputs` rows of nr values: PanelLayout with kr = sr = 1
  size_t nr;              ///< a multiple of GemmTile::columns
  size_t outputs;
  float* output;          ///< [rows, outputs], row stride `output_stride`; read with `rescale` only
  size_t output_stride;
  const float* rescale;   ///< [rows], each in [0, 1]: what `output` holds, times this, is added; null, or 0, discards it, even NaN
};

/// sum[i, j] = bias[j] + Σ_k input[i, k]·operand[k, j]; output[i, j] ← sum[i, j], or output[i, j]·rescale[i] + sum[i, j].
///
/// Each sum is one chain of a product and a sum, fused where the instruction set does that, from the bias on with k
/// ascending: its bits depend on nothing else, such as the rows around it. Error ≤ (inputs + 1)·2⁻²⁴·(|bias| + Σ|products|).
/// With `rescale` it is added as accumulate_fn adds, bit for bit.
/// NaN and infinity propagate. Of the last panel's columns past `outputs` only reads take place.
using gemm_fn = void(const PanelProduct& product);

/// What gemm of an instruction set keeps in registers, and is fastest with: query tiles of whole multiples of `rows`, and
/// panels of nr = `columns`.
struct GemmTile {
  size_t rows;
  size_t columns;
};

struct Kernels {
  statistics_fn* statistics;
  pack_fn* pack;
  unpack_rows_fn* unpack_rows;
  exp2_fn* exp2;
  softmax_fn* softmax;
  accumulate_fn* accumulate;
  normalize_rows_fn* normalize_rows;
  poison_rows_fn* poison_rows;
  add_residual_fn* add_residual;
  fold_fn* fold;
  transpose_fn* transpose;
  gemm_fn* gemm;
};

/// Which variants to take, as a ladder: each rung includes those below it on the same architecture.
enum class KernelSet : uint8_t { kScalar, kAvx2, kAvx512, kNeon };

/// Whether this build holds the variants of `set`.
bool kernels_built(KernelSet set);

/// Fills the table: scalar first, then overridden rung by rung. A pure function; `set` must be built and supported by the processor.
void kernels_init(Kernels& kernels, KernelSet set);

/// Of the gemm of `set`, which must be built.
GemmTile gemm_tile(KernelSet set);

/// The scalar variants of kernels whose SIMD variants demand plain operands: any nr, and any kr and sr that are powers of two.
/// Elements are where PanelLayout::offset says. pack_any also zeroes the padding of depth up to whole groups of kr·sr: in `keys`
/// from `channels` on, in `values` from the strip's last token on; so all strips but the last hold whole groups.
pack_fn pack_any_scalar;
unpack_rows_fn unpack_rows_any_scalar;

#define EDGEATTN_DECLARE_KERNELS(isa)       \
  statistics_fn statistics_##isa;           \
  pack_fn pack_##isa;                       \
  unpack_rows_fn unpack_rows_##isa;         \
  exp2_fn exp2_##isa;                       \
  softmax_fn softmax_##isa;                 \
  accumulate_fn accumulate_##isa;           \
  normalize_rows_fn normalize_rows_##isa;   \
  poison_rows_fn poison_rows_##isa;         \
  add_residual_fn add_residual_##isa;       \
  fold_fn fold_##isa;                       \
  transpose_fn transpose_##isa;             \
  gemm_fn gemm_##isa;                       \
  extern const GemmTile gemm_tile_##isa

EDGEATTN_DECLARE_KERNELS(scalar);
EDGEATTN_DECLARE_KERNELS(avx2);
EDGEATTN_DECLARE_KERNELS(avx512);
EDGEATTN_DECLARE_KERNELS(neon);

#undef EDGEATTN_DECLARE_KERNELS

}  // namespace edgeattn
