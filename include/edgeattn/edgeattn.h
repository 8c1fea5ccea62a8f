#ifndef EDGEATTN_EDGEATTN_H
#define EDGEATTN_EDGEATTN_H

/// edgeattn for C99, and for what calls C: plans, prepares, binds and runs the block that plan.h and block.h describe.
///
/// Every object lives in memory of the caller, which asks for its size first; nothing here is ever freed, and an object is
/// gone when its memory is reused. All memory is aligned to EDGEATTN_ALIGNMENT, and all sizes that are told are multiples of it,
/// so that spans can be cut from one piece of memory.
///
/// Structs begin with their size: the caller sets it to sizeof the struct and zeroes the rest, and every field's zero means
/// its usual value. Later versions append fields, so a caller compiled with an older header runs with a newer library; with a
/// newer header it runs with an older library unless it sets a field that the library does not know (EDGEATTN_UNSUPPORTED).
///
/// Calls return a status and, where `message` is not null, one line that names the argument, what was required and what was
/// given; it is empty after EDGEATTN_OK. When a call fails, its results are not written; memory handed in for an object may hold
/// anything. No call prints, aborts or reads the environment. All but edgeattn_run may be called on any thread at any time, for
/// objects that no other call is writing.

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EDGEATTN_EXPORT __attribute__((visibility("default")))

/// Of all memory that is handed in, in bytes.
#define EDGEATTN_ALIGNMENT 64

typedef int32_t edgeattn_status;
enum {
  EDGEATTN_OK = 0,
  EDGEATTN_INVALID_ARGUMENT = 1,  ///< a value, shape, pointer or alignment that the call does not accept
  EDGEATTN_TOO_SMALL = 2,         ///< memory or a budget is smaller than what is required
  EDGEATTN_UNSUPPORTED = 3,       ///< valid, but not something this build, version or processor does
  EDGEATTN_MISMATCH = 4,          ///< parts that do not belong together: weights of another spec
  EDGEATTN_GEMM = 5,              ///< XNNPACK refused, or packs operands in a layout that is not understood
  EDGEATTN_OUT_OF_MEMORY = 6,     ///< a temporary allocation of plan-time or file code failed
  EDGEATTN_NOT_FOUND = 7,         ///< a file, a tensor or a block that does not exist
  EDGEATTN_IO = 8,                ///< reading a file failed
  EDGEATTN_FORMAT = 9             ///< a file that breaks the rules of its format
};

/// Stable lower-case name of a status, for logs: "ok", "invalid argument", …; "unknown" for any other number. Thread-safe.
EDGEATTN_EXPORT const char* edgeattn_status_string(edgeattn_status status);

/// The library's version, "major.minor.patch". Thread-safe.
EDGEATTN_EXPORT const char* edgeattn_version(void);

/// One zero-terminated line of UTF-8. Of this size for ever; needs no initialising.
typedef struct edgeattn_message {
  char text[256];
} edgeattn_message;

typedef int32_t edgeattn_norm;
enum {
  EDGEATTN_NORM_GROUP = 0,     ///< GroupNorm
  EDGEATTN_NORM_INSTANCE = 1,  ///< InstanceNorm2d(affine)
  EDGEATTN_NORM_BATCH = 2,     ///< BatchNorm2d in eval mode
  EDGEATTN_NORM_NONE = 3
};

typedef int32_t edgeattn_layout;
enum {
  EDGEATTN_NCHW = 0,  ///< [B, C, H, W]
  EDGEATTN_NHWC = 1   ///< [B, H, W, C]
};

typedef int32_t edgeattn_isa;
enum {
  EDGEATTN_ISA_AUTO = 0,  ///< the best that the processor has
  EDGEATTN_ISA_SCALAR = 1,
  EDGEATTN_ISA_AVX2 = 2,
  EDGEATTN_ISA_AVX512 = 3,
  EDGEATTN_ISA_NEON = 4
};

/// What the products work with. Statistics, softmax and sums are in float32 or float64 at any precision.
typedef int32_t edgeattn_precision;
enum {
  EDGEATTN_FLOAT32 = 0,
  EDGEATTN_BFLOAT16 = 1,  ///< 16-bit floats: bfloat16, or IEEE half on ARM without it
  EDGEATTN_INT8 = 2       ///< scores of 8-bit integers, all other products as EDGEATTN_BFLOAT16
};

/// Which library multiplies matrices.
typedef int32_t edgeattn_gemm;
enum {
  EDGEATTN_GEMM_AUTO = 0,  ///< XNNPACK, but the built-in one where that is known to be faster, and where XNNPACK cannot be used
  EDGEATTN_GEMM_XNNPACK = 1,
  EDGEATTN_GEMM_BUILTIN = 2  ///< kernels of edgeattn's own
};

/// What the block computes: y = (x + to_out(softmax(q kᵀ · scale) v)) / rescale_output, q, k, v = split(to_qkv(norm(x))).
typedef struct edgeattn_spec {
  size_t size;          ///< sizeof(edgeattn_spec)
  size_t channels;      ///< C ≥ 1
  edgeattn_norm norm;
  int32_t no_residual;  ///< other than 0 leaves out the `x +`
  size_t groups;        ///< divides C; read for EDGEATTN_NORM_GROUP only; 0 means 32
  size_t heads;         ///< divides C; 0 means 1
  double eps;           ///< > 0 (0 is an error: a wrong eps spoils images silently); not read for EDGEATTN_NORM_NONE
  double scale;         ///< of the scores; 0 means 1/√(C/heads)
  double rescale_output;  ///< from 1e-30 to 1e30: diffusers' rescale_output_factor; 0 means 1
} edgeattn_spec;

typedef struct edgeattn_shape {
  size_t size;    ///< sizeof(edgeattn_shape)
  size_t batch;   ///< B; 0 means 1
  size_t height;  ///< H ≥ 1
  size_t width;   ///< W ≥ 1
} edgeattn_shape;

typedef struct edgeattn_options {
  size_t size;                  ///< sizeof(edgeattn_options)
  size_t threads;               ///< at most this many threads of the pool work at once; 0 means 1
  size_t scratch_budget_bytes;  ///< most that scratch may take; 0 for no limit
  size_t query_tile;            ///< forces the rows of a tile; 0 lets the plan choose
  size_t key_block;             ///< forces the keys of a block; 0 lets the plan choose
  size_t l2_bytes;              ///< second-level cache that a thread has to itself; 0 takes what the system tells
  edgeattn_layout layout;
  edgeattn_isa isa;             ///< of all kernels; XNNPACK's products choose their own
  edgeattn_precision precision;
  edgeattn_gemm gemm;           ///< read at EDGEATTN_FLOAT32 only
} edgeattn_options;

/// pthreadpool_t is a pointer to this.
struct pthreadpool;

/// Weights as plain pointers, float32, row-major, 4-byte aligned. Not kept: edgeattn_prepare copies what it needs.
///
/// As trained, or folded by `edgeattn fold` (one head): then score_weight is set, out_weight and out_bias are M and b', and there
/// is no qkv.
typedef struct edgeattn_weights {
  size_t size;                ///< sizeof(edgeattn_weights)
  const float* norm_weight;   ///< [C]; null for EDGEATTN_NORM_NONE only
  const float* norm_bias;     ///< [C]; null for EDGEATTN_NORM_NONE only
  const float* running_mean;  ///< [C]; for EDGEATTN_NORM_BATCH only
  const float* running_var;   ///< [C], ≥ 0; for EDGEATTN_NORM_BATCH only
  const float* qkv_weight;    ///< [3C, C]: rows of q, then k, then v
  const float* qkv_bias;      ///< [3C]; null means zero
  const float* out_weight;    ///< [C, C]
  const float* out_bias;      ///< [C]; null means zero
  const float* score_weight;  ///< [C, C]: A, scaled for exp2; null for weights as trained
  const float* score_bias;    ///< [C]: u, scaled for exp2; null means zero
  struct pthreadpool* pool;   ///< whose threads edgeattn_prepare shares its work with, or null; not one whose task is calling
} edgeattn_weights;

/// Tiles and memory map of one spec on one shape. Read-only once made: any number of threads may use one.
typedef struct edgeattn_plan edgeattn_plan;
/// Folded and packed weights. Read-only once made: any number of blocks, shapes and threads may share one.
typedef struct edgeattn_prepared edgeattn_prepared;
/// A block bound to its memory.
typedef struct edgeattn_block edgeattn_block;

/// Initialises XNNPACK, if nothing has in this process, with the allocator that lets its operators live in the caller's
/// memory. edgeattn_make_plan does that too: this is for hosts that use XNNPACK themselves, which with its API of 2022 (Debian
/// 12) call it before their own xnn_initialize. What XNNPACK keeps for the life of the process is allocated here.
///
/// EDGEATTN_OK also where XNNPACK cannot be used, or was initialised by the host already: plans then take the built-in products,
/// unless their options ask for XNNPACK. EDGEATTN_OUT_OF_MEMORY, which stays when it comes from inside the process's first call.
/// Thread-safe.
EDGEATTN_EXPORT edgeattn_status edgeattn_initialize(edgeattn_message* message);

/// Bytes of a plan: some kilobytes, the same for every plan of this version of the library. Thread-safe.
EDGEATTN_EXPORT size_t edgeattn_plan_bytes(void);

/// Plans memory and tiles, for the processor that the caller runs on. Takes temporary memory of some three times the
/// largest operand (C×C floats, or C times the keys of a block) and frees it.
///
/// @param memory   at least edgeattn_plan_bytes(); the plan lives there. May be reused as soon as the plan's weights are
///                 prepared and its blocks are bound
/// @param options  null for one thread, NCHW, and what the plan chooses
/// EDGEATTN_INVALID_ARGUMENT: a value that no block can have; EDGEATTN_UNSUPPORTED: an instruction set or a precision that the
/// processor or the build lacks; EDGEATTN_TOO_SMALL: `memory`, or the budget, with the least that works;
/// EDGEATTN_GEMM and EDGEATTN_OUT_OF_MEMORY: see edgeattn_initialize. Thread-safe.
EDGEATTN_EXPORT edgeattn_status edgeattn_make_plan(void* memory, size_t memory_bytes, const edgeattn_spec* spec,
                                                   const edgeattn_shape* shape, const edgeattn_options* options,
                                                   edgeattn_plan** plan, edgeattn_message* message);

/// What a plan needs and chose.
typedef struct edgeattn_plan_info {
  size_t size;                  ///< sizeof(edgeattn_plan_info), set by the caller; the rest is written
  size_t prepared_bytes;        ///< of edgeattn_prepare: the same for every plan of one spec and precision
  size_t persistent_bytes;      ///< of edgeattn_bind: the block and its operators
  size_t scratch_bytes;         ///< of edgeattn_bind: whatever a run overwrites
  size_t external_bytes;        ///< what XNNPACK keeps elsewhere for this block
  size_t threads;
  size_t query_tile;            ///< rows of the largest tile
  size_t key_block;             ///< keys of all key blocks but the last
  edgeattn_isa isa;             ///< never EDGEATTN_ISA_AUTO
  int32_t budget_reduced_keys;  ///< 1 when the budget made key_block smaller: sums have another order than without one
  edgeattn_precision precision;
  edgeattn_gemm gemm;           ///< never EDGEATTN_GEMM_AUTO
} edgeattn_plan_info;

/// Thread-safe.
EDGEATTN_EXPORT edgeattn_status edgeattn_describe_plan(const edgeattn_plan* plan, edgeattn_plan_info* info,
                                                       edgeattn_message* message);

/// What the blocks of a host need together when they run one after another, as those of a UNet do.
typedef struct edgeattn_memory {
  size_t size;              ///< sizeof(edgeattn_memory), set by the caller; the rest is written
  size_t prepared_bytes;    ///< sum, as if no two plans shared one prepared copy of their weights
  size_t persistent_bytes;  ///< sum: every block has its own
  size_t scratch_bytes;     ///< the largest: all blocks share one scratch span
  size_t external_bytes;    ///< sum
} edgeattn_memory;

/// Sums up `count` plans. EDGEATTN_INVALID_ARGUMENT also when a sum overflows. Thread-safe.
EDGEATTN_EXPORT edgeattn_status edgeattn_sum_memory(const edgeattn_plan* const* plans, size_t count, edgeattn_memory* memory,
                                                    edgeattn_message* message);

/// Folds weights as trained, or takes folded ones, and packs them into `memory`, which must outlive every block bound to it. Runs on
/// weights->pool, or with null on the calling thread alone: bits are the same. Denormal numbers count as zero.
///
/// @param plan    any plan of the spec that the weights belong to; other plans of that spec, precision and, at reduced precision,
///                instruction set may use the result
/// @param memory  at least prepared_bytes of the plan
/// EDGEATTN_INVALID_ARGUMENT names a tensor that is missing or not finite, also when the folded product is not;
/// EDGEATTN_TOO_SMALL; EDGEATTN_OUT_OF_MEMORY: packing is probed with temporary memory. Thread-safe, for different memory.
EDGEATTN_EXPORT edgeattn_status edgeattn_prepare(const edgeattn_plan* plan, const edgeattn_weights* weights, void* memory,
                                                 size_t memory_bytes, const edgeattn_prepared** prepared,
                                                 edgeattn_message* message);

/// Makes a block. Allocates nothing that lives on.
///
/// @param persistent  at least persistent_bytes of the plan; the block lives there
/// @param scratch     at least scratch_bytes of the plan; written here and by runs. Blocks may share it if neither binding nor
///                    running overlaps in time
/// @param pool        the host's pthreadpool_t, of any size, or null: then a run uses the calling thread only. Must outlive
///                    the block
/// EDGEATTN_TOO_SMALL and EDGEATTN_INVALID_ARGUMENT name the memory; EDGEATTN_MISMATCH when plan and prepared do not belong
/// together; EDGEATTN_GEMM when XNNPACK refuses. Thread-safe, for different persistent and scratch memory.
EDGEATTN_EXPORT edgeattn_status edgeattn_bind(const edgeattn_plan* plan, const edgeattn_prepared* prepared, void* persistent,
                                              size_t persistent_bytes, void* scratch, size_t scratch_bytes,
                                              struct pthreadpool* pool, edgeattn_block** block, edgeattn_message* message);

/// Runs the block on `x`: y = x + to_out(attention(norm(x))).
///
/// @param x  [B, C, H, W] or [B, H, W, C], the plan's layout; 4-byte aligned
/// @param y  same shape; x itself, or disjoint from it
/// @return EDGEATTN_OK, or EDGEATTN_INVALID_ARGUMENT (null, misaligned or partly overlapping), and then y is untouched
///
/// Never allocates, locks or throws, beyond what the pool does to start its threads. One call at a time on one block; different
/// blocks run side by side, on one pool or several, unless they share scratch. A non-finite value in an image makes every
/// output of that image NaN. The same bits for any number of threads, any pool and any addresses.
EDGEATTN_EXPORT edgeattn_status edgeattn_run(edgeattn_block* block, const float* x, float* y, edgeattn_message* message);

#ifdef __cplusplus
}
#endif

#endif
