#include <algorithm>
#include <cctype>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "mutant.h"

namespace edgeattn::test {
namespace {

using Engine = std::mt19937_64;

std::size_t below(Engine& engine, std::size_t count) { return std::uniform_int_distribution<std::size_t>(0, count - 1)(engine); }
bool chance(Engine& engine, std::size_t one_in) { return below(engine, one_in) == 0; }
template <class Values>
const auto& any_of(Engine& engine, const Values& values) {
  return *std::next(std::begin(values), static_cast<std::ptrdiff_t>(below(engine, std::size(values))));
}

const std::vector<std::string> kModules = {
    "norm", "group_norm", "gn", "norm1", "norm.0", "GroupNorm_0", "norm2", "instance_norm", "ln", "bn", "layer_norm", "Norm",
    "norm_q", "pre_norm", "to_qkv", "to_q", "to_k", "to_v", "to_out", "to_out.0", "to_out.1", "query", "key", "value",
    "proj_attn", "q", "k", "v", "qkv", "proj_out", "score", "out", "proj", "to_kv", "to_q_lora", "to_k_ip", "add_k_proj",
    "attn.qkv", "0", "fn.norm", "q_proj"};
const std::vector<std::string> kEndings = {
    "weight", "bias", "running_mean", "running_var", "num_batches_tracked", "gamma", "beta", "g", "scale", "weight_orig",
    "weight_g", "weight_v", "Weight", "kernel", "lora_A.weight", "lora_B.default.weight", "base_layer.weight", "weight_scale",
    "weight.absmax", "qweight", "parametrizations.weight.original0", "0.weight", "weight.0", "bias_", "total_ops"};
const std::vector<std::string> kStrangers = {
    "gamma", "layer_scale", "ls.gamma", "scale", "temperature", "tau", "logit_scale", "relative_position_bias_table",
    "relative_position_index", "rel_pos_h", "rpb", "to_k_ip.weight", "processor.to_v_ip.0.weight",
    "processor.to_q_lora.up.weight", "to_q_lora.down.weight", "norm_q.weight", "k_norm.weight", "q_norm.weight",
    "add_k_proj.weight", "to_add_out.bias", "encoder_kv.weight", "spatial_norm.conv_y.weight", "mem_kv", "mask",
    "rotary_emb.inv_freq", "dwconv.weight", "conv.weight", "mlp.0.weight", "skip.bias", "weight", "bias", "x", "null_kv",
    "gate", "fn.fn.weight", "dropout.weight", "alpha", "SCB", "norm.gamma", "norm.weight_g", "norm.scale_shift.weight",
    "comfy_quant", "pos_emb"};
const std::vector<std::string> kBelow = {
    "lora_A.weight", "lora_B.weight", "lora_up.weight", "lora.down.weight", "lora_magnitude_vector", "base_layer.weight",
    "alpha", "dora_scale", "hada_w1_a", "weight_scale", "scale_weight", "input_scale", "weight.absmax", "weight.quant_map",
    "SCB", "scales", "qzeros", "zero_point", "scale", "comfy_quant", "weight_orig", "weight_u", "weight_v", "weight_g",
    "parametrizations.weight.0._u", "gain", "g", "weight.weight", "0.weight", "bias2"};
const std::vector<std::string> kPrefixes = {
    "", "a.", "down.0.attn.", "x y.", "norm.", "to_qkv.", "q.", "fn.", "model.diffusion_model.middle_block.1.", "lora.", "0."};

FileTensor random_tensor(Engine& engine, std::size_t channels) {
  const std::vector<std::vector<std::size_t>> shapes = {
      {}, {1}, {channels}, {channels, channels}, {4, channels}, {channels, 1, 1}, {3 * channels, channels, 1, 1}};
  FileTensor tensor;
  tensor.shape = any_of(engine, shapes);
  const std::size_t count = std::accumulate(tensor.shape.begin(), tensor.shape.end(), std::size_t{1}, std::multiplies<>());
  std::normal_distribution<float> normal;
  for (std::size_t i = 0; i < count; ++i) tensor.values.push_back(normal(engine));
  return tensor;
}

/// The part of a key before its last dot.
std::string module_of(const std::string& key) { return key.substr(0, key.rfind('.') == std::string::npos ? 0 : key.rfind('.')); }
std::string ending_of(const std::string& key) { return key.substr(key.rfind('.') + 1); }

const std::string& any_key(const Mutant& mutant, Engine& engine) { return any_of(engine, mutant.block).first; }
FileTensor& any_tensor(Mutant& mutant, Engine& engine) { return mutant.block.at(any_key(mutant, engine)); }

void rename(Mutant& mutant, const std::string& from, const std::string& to) {
  mutant.history += " " + from + " to " + to + ";";
  auto node = mutant.block.extract(from);
  mutant.block[to] = std::move(node.mapped());
}

bool rename_key(Mutant& mutant, Engine& engine) {
  const std::string key = any_key(mutant, engine);
  std::string to = key;
  switch (below(engine, 5)) {
    case 0: to = any_of(engine, kModules) + '.' + ending_of(key); break;
    case 1: to = module_of(key) + '.' + any_of(engine, kEndings); break;
    case 2: to = any_of(engine, kStrangers); break;
    case 3: to.erase(below(engine, to.size()), 1); break;
    default: {
      char& letter = to[below(engine, to.size())];
      letter = letter == '.'                                           ? '_'
               : letter == '_'                                         ? '.'
               : std::isalpha(static_cast<unsigned char>(letter)) != 0 ? static_cast<char>(letter ^ 0x20)
                                                                       : '1';
    }
  }
  if (to.empty() || to == key) return false;
  rename(mutant, key, to);
  return true;
}

bool rename_module(Mutant& mutant, Engine& engine) {
  const std::string from = module_of(any_key(mutant, engine)), to = any_of(engine, kModules);
  if (from == to) return false;
  std::vector<std::string> keys;
  for (const auto& [name, tensor] : mutant.block)
    if (module_of(name) == from) keys.push_back(name);
  for (const std::string& key : keys) rename(mutant, key, to + '.' + ending_of(key));
  return true;
}

bool remove_key(Mutant& mutant, Engine& engine) {
  const std::string key = any_key(mutant, engine);
  mutant.history += " without " + key + ';';
  mutant.block.erase(key);
  return true;
}

bool remove_module(Mutant& mutant, Engine& engine) {
  const std::string module = module_of(any_key(mutant, engine));
  mutant.history += " without " + module + ".*;";
  std::erase_if(mutant.block, [&](const auto& entry) { return module_of(entry.first) == module; });
  return true;
}

bool remove_norm(Mutant& mutant, Engine& engine) {
  mutant.history += " without a norm;";
  std::erase_if(mutant.block, [](const auto& entry) { return entry.first.find("norm") != std::string::npos; });
  if (chance(engine, 2)) {
    mutant.asked.norm = Norm::kNone;
    mutant.history += " none asked for;";
  }
  return true;
}

bool add_key(Mutant& mutant, const std::string& key, FileTensor tensor) {
  if (mutant.block.contains(key)) return false;
  mutant.history += " with " + key + ';';
  mutant.block[key] = std::move(tensor);
  return true;
}

// What is drawn is drawn in a fixed order, whatever the compiler, so that a seed means the same mutants.
bool add_stranger(Mutant& mutant, Engine& engine) {
  const std::string& key = any_of(engine, kStrangers);
  return add_key(mutant, key, random_tensor(engine, 24));
}
bool add_below(Mutant& mutant, Engine& engine) {
  const std::string module = module_of(any_key(mutant, engine));
  const std::string& ending = any_of(engine, kBelow);
  return add_key(mutant, module + '.' + ending, random_tensor(engine, 24));
}
bool add_module_key(Mutant& mutant, Engine& engine) {
  const std::string& module = any_of(engine, kModules);
  const std::string& ending = any_of(engine, kEndings);
  return add_key(mutant, module + '.' + ending, random_tensor(engine, 24));
}

/// Of the block's own norm, whatever it is called.
std::string norm_of(const Mutant& mutant) {
  for (const auto& [name, tensor] : mutant.block)
    if (name.find("orm") != std::string::npos && name.ends_with(".weight")) return module_of(name);
  return "norm";
}

bool add_running(Mutant& mutant, Engine& engine) {
  const std::string norm = norm_of(mutant);
  for (const char* key : {".running_mean", ".running_var", ".num_batches_tracked"}) {
    if (chance(engine, 6)) continue;
    FileTensor tensor = random_tensor(engine, 24);
    tensor.shape = {24};
    tensor.values.resize(24, 0.5);
    const bool variance = std::string_view(key) == ".running_var" && !chance(engine, 8);
    for (double& value : tensor.values) value = variance ? std::fabs(value) : value;
    add_key(mutant, norm + key, std::move(tensor));
  }
  return true;
}

bool add_harmless(Mutant& mutant, Engine& engine) {
  const std::vector<std::string> keys = {
    ".num_batches_tracked", "total_ops", ".total_ops", "dropout.seed_generator.seed_generator_state"};
  const std::string& key = any_of(engine, keys);
  return add_key(mutant, key, random_tensor(engine, 24));
}

bool add_neighbours(Mutant& mutant, Engine& engine) {
  if (mutant.prefix.empty()) return false;
  const std::string stem = mutant.prefix.substr(0, mutant.prefix.size() - 1);
  const std::string parent = stem.substr(0, stem.rfind('.') + 1);
  for (const std::string& key :
       {stem + "2.gamma", stem + "_lora.weight", parent + "zz.weight", parent + "norm9.weight", stem + ":0"}) {
    if (!chance(engine, 3) && !key.starts_with(mutant.prefix)) mutant.beside[key] = random_tensor(engine, 24);
  }
  mutant.history += " neighbours;";
  return true;
}

bool reshape(Mutant& mutant, Engine& engine) {
  FileTensor& tensor = any_tensor(mutant, engine);
  std::vector<std::size_t>& shape = tensor.shape;
  switch (below(engine, 6)) {
    case 0: std::ranges::shuffle(shape, engine); break;
    case 1: shape.push_back(1); break;
    case 2: shape.insert(shape.begin(), 1); break;
    case 3: shape = {tensor.values.size()}; break;
    case 4:
      while (!shape.empty() && shape.back() == 1) shape.pop_back();
      break;
    default:
      if (tensor.values.size() % 8 != 0) return false;
      shape = {tensor.values.size() / 8, 8};
  }
  mutant.history += " reshaped;";
  return true;
}

bool transpose(Mutant& mutant, Engine& engine) {
  FileTensor& tensor = any_tensor(mutant, engine);
  if (tensor.shape.size() < 2) return false;
  const std::size_t rows = tensor.shape[0], columns = tensor.shape[1];
  if (rows * columns != tensor.values.size()) return false;
  const std::vector<double> values = tensor.values;
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j) tensor.values[j * rows + i] = values[i * columns + j];
  std::swap(tensor.shape[0], tensor.shape[1]);
  mutant.history += " transposed;";
  return true;
}

bool trailing_ones(Mutant& mutant, Engine& engine) {
  const std::size_t ones = below(engine, 4);
  for (auto& [name, tensor] : mutant.block) {
    if (tensor.shape.size() < 2 || tensor.shape[0] * tensor.shape[1] != tensor.values.size()) continue;
    tensor.shape.resize(2);
    tensor.shape.resize(2 + ones, 1);
  }
  mutant.history += " sizes of 1;";
  return true;
}

bool change_dtype(Mutant& mutant, Engine& engine) {
  static const std::vector<std::string> kDtypes = {
    "F64", "F32", "F16", "BF16", "F64", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"};
  const std::string& dtype = any_of(engine, kDtypes);
  mutant.history += ' ' + dtype + ';';
  if (chance(engine, 2)) {
    for (auto& [name, tensor] : mutant.block) convert(tensor, dtype);
  } else {
    convert(any_tensor(mutant, engine), dtype);
  }
  return true;
}

/// Values that float32 does not have.
bool finer_values(Mutant& mutant, Engine& engine) {
  FileTensor& tensor = any_tensor(mutant, engine);
  convert(tensor, "F64");
  for (double& value : tensor.values) value *= 1 + 1e-9 * static_cast<double>(1 + below(engine, 1000));
  mutant.history += " finer;";
  return true;
}

bool poison(Mutant& mutant, Engine& engine) {
  FileTensor& tensor = any_tensor(mutant, engine);
  if (tensor.values.empty() || !is_float(tensor.dtype)) return false;
  const double values[] = {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity()};
  tensor.values[below(engine, tensor.values.size())] = any_of(engine, values);
  mutant.history += " poisoned;";
  return true;
}

bool swap_tensors(Mutant& mutant, Engine& engine) {
  const std::string a = any_key(mutant, engine), b = any_key(mutant, engine);
  if (a == b) return false;
  std::swap(mutant.block.at(a), mutant.block.at(b));
  mutant.history += ' ' + a + " for " + b + ';';
  return true;
}

bool change_prefix(Mutant& mutant, Engine& engine) {
  if (!mutant.beside.empty()) return false;
  mutant.prefix = any_of(engine, kPrefixes);
  mutant.say_prefix = !chance(engine, 3);
  mutant.history += " behind '" + mutant.prefix + (mutant.say_prefix ? "';" : "' unsaid;");
  return true;
}

bool change_request(Mutant& mutant, Engine& engine) {
  Asked& asked = mutant.asked;
  switch (below(engine, 7)) {
    case 0: asked.heads = any_of(engine, std::vector<std::size_t>{0, 1, 2, 3, 4, 5, 24, 25}); break;
    case 1: asked.groups = any_of(engine, std::vector<std::size_t>{0, 1, 6, 7, 24, 32}); break;
    case 2: asked.eps = any_of(engine, std::vector<double>{0, 1e-6, 1e-5, 1e-3}); break;
    case 3: asked.order = static_cast<io::QkvOrder>(below(engine, 3)); break;
    case 4: asked.rescale_output = any_of(engine, std::vector<double>{0, 1, 2.5}); break;
    default: asked.norm = any_of(engine, std::vector<Norm>{Norm::kGroup, Norm::kInstance, Norm::kBatch, Norm::kNone});
  }
  mutant.history += " other request;";
  return true;
}

}  // namespace

const std::vector<Mutation> kMutations = {
    {"rename a key", rename_key},
    {"rename a module", rename_module},
    {"remove a key", remove_key},
    {"remove a module", remove_module},
    {"remove the norm", remove_norm},
    {"add a stranger", add_stranger},
    {"add below a module", add_below},
    {"add a module's key", add_module_key},
    {"add statistics", add_running},
    {"add what is harmless", add_harmless},
    {"add neighbours", add_neighbours},
    {"reshape", reshape},
    {"transpose", transpose},
    {"sizes of 1", trailing_ones},
    {"another dtype", change_dtype},
    {"finer values", finer_values},
    {"poison", poison},
    {"swap tensors", swap_tensors},
    {"another prefix", change_prefix},
    {"another request", change_request},
};

}  // namespace edgeattn::test
