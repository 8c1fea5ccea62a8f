#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "edgeattn/io.h"
#include "sorted_keys.h"

namespace edgeattn::io {

/// How the files of one code base name the tensors of a block; each name is followed by ".weight" or ".bias".
///
/// Folded weights have one projection, [C, C], and their spec in the file's metadata.
struct KeyStyle {
  const char* name;
  std::span<const char* const> norms;  ///< what its norm is called: the style's own name, then others that a file may have
  std::span<const char* const> projections;  ///< q, k and v, or one that holds the rows of all three
  const char* out;
  double eps = 0;  ///< the norm's default; 0: there are several, and the caller has to choose
  bool folded = false;
  bool may_lack_norm = false;  ///< modules without a norm exist: the error for a missing one says how to ask for that
  bool any_heads = false;      ///< the caller has to say how many
  bool any_order = false;      ///< the caller has to say in which order the rows of several heads are
  bool any_rescale = false;    ///< modules of the style may divide their output
};

/// A block of a file: where its keys begin, and how they go on.
struct BlockPlace {
  std::string prefix;
  const KeyStyle* style;
};

/// One tensor of a block, and which elements of the block's weights it fills.
struct BlockTensor {
  std::string name;
  std::size_t rows;
  std::size_t columns;  ///< 0 for [rows]; else [rows, columns], with or without one or two sizes of 1 behind it
  bool required;
  std::vector<float> BlockWeights::*values;
  std::size_t first;  ///< element of `values` where this tensor begins
  std::size_t size;   ///< of `values`
};

/// Every place, complete or not, that has a projection behind an empty prefix or one that ends with a dot; sorted by
/// prefix, each once.
std::vector<BlockPlace> block_places(const SafetensorsFile& file);

/// The style that has a projection behind `prefix`; null when there is none.
const KeyStyle* style_at(const SafetensorsFile& file, const std::string& prefix);

/// Every style, folded weights last.
std::span<const KeyStyle> key_styles();

/// What the file and the style tell of a block's spec, except channels: eps, groups and heads may be defaults, and kGroup
/// stands for kInstance too, and for a norm that is missing, unless the weights are folded. kFormat when metadata that must be
/// there is not, kUnsupported when there are two norms.
Status spec_in_file(const SafetensorsFile& file, const BlockPlace& place, Spec& spec);

/// How thorough an error has to be.
enum class Diagnosis : bool {
  kAny,   ///< of many blocks: in time that does not depend on the rest of the file
  kBest,  ///< of one
};

/// The tensors of a block with norm `norm`, checked: the file has all that are required, in shapes that agree, and no
/// other key behind the prefix but for those that change nothing. kNotFound, kFormat, kInvalidArgument (a key that `norm`
/// forbids) and kUnsupported (foreign.h) name the tensor and what was expected.
Status block_tensors(const SafetensorsFile& file, const SortedKeys& keys, const BlockPlace& place, Norm norm, Diagnosis diagnosis,
                     std::size_t& channels, std::vector<BlockTensor>& tensors);

}  // namespace edgeattn::io
