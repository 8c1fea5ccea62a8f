#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "edgeattn/io.h"
#include "families.h"

/// Golden blocks changed at random, and what the changed files mean, found without the reader.
namespace edgeattn::test {

/// A tensor of a file in the making; its values are ones that its dtype has.
struct FileTensor {
  std::string dtype = "F32";
  std::vector<std::size_t> shape;
  std::vector<double> values;
};
using FileTensors = std::map<std::string, FileTensor>;

/// Whether values of that dtype are read as weights.
bool is_float(const std::string& dtype);
/// Gives a tensor another dtype: its values rounded to nearest.
void convert(FileTensor& tensor, const std::string& dtype);
/// The bytes of a safetensors file.
std::string encode(const FileTensors& tensors);

/// What is asked of a file, owned.
struct Asked {
  std::optional<Norm> norm = {};
  std::size_t groups = 0;
  double eps = 0;
  std::size_t heads = 0;
  io::QkvOrder order = io::QkvOrder::kUnsaid;
  double rescale_output = 0;
};

/// A golden block on its way through mutations.
struct Mutant {
  FileTensors block;   ///< names without the prefix
  FileTensors beside;  ///< names with nothing of it
  std::string prefix;
  bool say_prefix = true;
  bool residual = true;
  Asked asked;
  std::string history;  ///< the mutations, for a message

  [[nodiscard]] FileTensors file() const;
};

/// A way to change a mutant. False when it does not apply.
struct Mutation {
  const char* name;
  bool (*apply)(Mutant& mutant, std::mt19937_64& engine);
};
extern const std::vector<Mutation> kMutations;

/// What a file means to the modules that write such keys: the weights and the spec; null when it means nothing, or when what is
/// asked leaves it open. Written from docs/safetensors.md alone.
std::optional<io::BlockWeights> meaning(const Mutant& mutant);

}  // namespace edgeattn::test
