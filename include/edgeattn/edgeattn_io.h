#ifndef EDGEATTN_EDGEATTN_IO_H
#define EDGEATTN_EDGEATTN_IO_H

/// Weights files for C99: the part of io.h that a host needs to get a block from a safetensors file into edgeattn.h. A library
/// of its own, edgeattn_io, which uses the heap; what it makes is freed by its own calls, which take null too.
///
/// Structs, statuses, messages and thread-safety are as edgeattn.h says. Objects are read-only once made: any number of threads
/// may use one, until it is freed.

#include "edgeattn/edgeattn.h"

#ifdef __cplusplus
extern "C" {
#endif

/// A safetensors file, checked in full before anything is handed out (docs/safetensors.md).
typedef struct edgeattn_file edgeattn_file;
/// The weights of one block, converted to float32.
typedef struct edgeattn_loaded edgeattn_loaded;

/// Maps a file, or reads it where the system does not map it; reads a pipe to its end into memory. For a
/// `model.safetensors.index.json`, maps the shards beside it, which together are the file. EDGEATTN_NOT_FOUND, EDGEATTN_IO,
/// EDGEATTN_FORMAT (with the rule that the file breaks, or what it is instead of a safetensors file), EDGEATTN_OUT_OF_MEMORY;
/// messages start with the path of what is wrong: of the index, or of a shard. Thread-safe.
EDGEATTN_EXPORT edgeattn_status edgeattn_open_file(const char* path, edgeattn_file** file, edgeattn_message* message);

/// The same for a file in memory, which must outlive the object. `name` stands for the path in messages. Thread-safe.
EDGEATTN_EXPORT edgeattn_status edgeattn_open_memory(const void* bytes, size_t count, const char* name, edgeattn_file** file,
                                                     edgeattn_message* message);

/// Not while another call uses the file. What was loaded from it stays.
EDGEATTN_EXPORT void edgeattn_close_file(edgeattn_file* file);

/// Number of blocks whose keys and shapes are complete; 0 for null. Thread-safe.
EDGEATTN_EXPORT size_t edgeattn_block_count(const edgeattn_file* file);

/// Prefix of a block, in sorted order: "am." for am.norm.weight, or ""; null past the last. Lives as long as the file.
/// Thread-safe.
EDGEATTN_EXPORT const char* edgeattn_block_prefix(const edgeattn_file* file, size_t index);

/// How the rows of one qkv tensor are ordered, with several heads of d = C/heads rows.
typedef int32_t edgeattn_qkv_order;
enum {
  EDGEATTN_QKV_UNSAID = 0,
  EDGEATTN_QKV_NEW = 1,    ///< [q, k, v][head][d]: guided-diffusion's QKVAttention
  EDGEATTN_QKV_LEGACY = 2  ///< [head][q, k, v][d]: its QKVAttentionLegacy
};

/// Which block of a file, and what the file cannot tell. Folded weights tell all; what contradicts them is an error.
typedef struct edgeattn_request {
  size_t size;                ///< sizeof(edgeattn_request)
  const char* prefix;         ///< null: the file's only block
  const edgeattn_norm* norm;  ///< null: as the file's keys say; EDGEATTN_NORM_NONE only where this asks for it
  size_t groups;              ///< 0: 32; an error where that does not divide C
  size_t heads;               ///< 0: 1; an error for a style whose modules have any number
  double eps;                 ///< 0: the style's default; an error for a style that has several
  edgeattn_qkv_order qkv_order;  ///< for guided-diffusion, where several heads need it
  int32_t no_residual;           ///< other than 0: the module adds no x
  double rescale_output;         ///< 0: 1
  double scale;                  ///< of the scores; 0: 1/√(C/heads)
} edgeattn_request;

/// Reads one block. EDGEATTN_NOT_FOUND lists the prefixes that exist; EDGEATTN_INVALID_ARGUMENT and EDGEATTN_FORMAT name file,
/// tensor, and what was expected; so does a request that leaves open what the file cannot tell. EDGEATTN_UNSUPPORTED names what
/// looks like a block and is none (a transposed kernel, another kind of attention), and any key behind the block's prefix that
/// may change what it computes (a LoRA, a scale of quantised weights, a norm by a name that is not known).
///
/// @param request  null for the file's only block, with what its key style usually has
/// Thread-safe.
EDGEATTN_EXPORT edgeattn_status edgeattn_load_block(const edgeattn_file* file, const edgeattn_request* request,
                                                    edgeattn_loaded** loaded, edgeattn_message* message);

/// The spec that loaded weights belong to, and pointers to them for edgeattn_prepare, which live as long as `loaded`.
///
/// @param spec, weights  with `size` set by the caller; either may be null. weights->pool becomes null
/// Thread-safe.
EDGEATTN_EXPORT edgeattn_status edgeattn_view_block(const edgeattn_loaded* loaded, edgeattn_spec* spec,
                                                    edgeattn_weights* weights, edgeattn_message* message);

/// What weights files of most key styles do not tell of a block, as a set of bits (docs/safetensors.md).
enum {
  EDGEATTN_UNTOLD_HEADS = 1,
  EDGEATTN_UNTOLD_GROUPS = 2,
  EDGEATTN_UNTOLD_EPS = 4,
  EDGEATTN_UNTOLD_RESCALE_OUTPUT = 8
};

/// What of a loaded block's spec neither file nor request told, so that it is as the key style usually has it: a set of
/// EDGEATTN_UNTOLD_…; 0 for folded weights, and for null. Thread-safe.
EDGEATTN_EXPORT uint32_t edgeattn_assumed(const edgeattn_loaded* loaded);

/// Not while another call uses it, or what edgeattn_view_block pointed to.
EDGEATTN_EXPORT void edgeattn_free_block(edgeattn_loaded* loaded);

enum { EDGEATTN_MOST_DIMENSIONS = 8 };

typedef struct edgeattn_tensor {
  size_t size;      ///< sizeof(edgeattn_tensor), set by the caller; the rest is written
  size_t elements;  ///< product of the sizes
  size_t rank;      ///< number of sizes
  size_t shape[EDGEATTN_MOST_DIMENSIONS];
} edgeattn_tensor;

/// Looks for any tensor of a file. EDGEATTN_NOT_FOUND; EDGEATTN_UNSUPPORTED for more than 8 dimensions. Thread-safe.
EDGEATTN_EXPORT edgeattn_status edgeattn_find_tensor(const edgeattn_file* file, const char* name, edgeattn_tensor* tensor,
                                                     edgeattn_message* message);

/// Converts a tensor to float32 (F64 rounded once, F16, BF16, F8_E5M2 and F8_E4M3 exactly).
///
/// @param values  [count]; EDGEATTN_TOO_SMALL if the tensor has more elements
/// EDGEATTN_NOT_FOUND; EDGEATTN_UNSUPPORTED for another dtype, and for 8-bit floats beside a key with their scale;
/// EDGEATTN_INVALID_ARGUMENT for a tensor with no elements.
/// Thread-safe.
EDGEATTN_EXPORT edgeattn_status edgeattn_read_tensor(const edgeattn_file* file, const char* name, float* values, size_t count,
                                                     edgeattn_message* message);

#ifdef __cplusplus
}
#endif

#endif
