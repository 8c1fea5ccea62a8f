/* A plugin that runs a block: with the static library inside it, or linked to the shared one. */
#include <stdalign.h>
#include <stddef.h>

#include "edgeattn/edgeattn.h"

enum { kChannels = 32, kTokens = 36 };

static float qkv[3 * kChannels * kChannels], out[kChannels * kChannels], norm[2 * kChannels];
static float x[kChannels * kTokens], y[kChannels * kTokens];
static alignas(EDGEATTN_ALIGNMENT) unsigned char memory[4][1 << 20];

static edgeattn_message message;

/* The last error. */
const char* plugin_message(void) { return message.text; }

/* Runs a block on the products of `gemm`. Which it took, or -1 with a message. */
int plugin_run(int gemm) {
  edgeattn_spec spec = {.size = sizeof spec, .channels = kChannels, .groups = 8, .eps = 1e-5};
  edgeattn_shape shape = {.size = sizeof shape, .height = 6, .width = 6};
  edgeattn_options options = {.size = sizeof options, .gemm = gemm};
  edgeattn_weights weights = {.size = sizeof weights};
  edgeattn_plan_info info = {.size = sizeof info};
  edgeattn_plan* plan;
  const edgeattn_prepared* prepared;
  edgeattn_block* block;
  size_t i;
  for (i = 0; i < sizeof qkv / sizeof *qkv; ++i) qkv[i] = (float)(i % 13) / 64 - 0.1f;
  for (i = 0; i < sizeof out / sizeof *out; ++i) out[i] = (float)(i % 11) / 64 - 0.1f;
  for (i = 0; i < sizeof norm / sizeof *norm; ++i) norm[i] = i < kChannels ? 1.0f : 0.0f;
  for (i = 0; i < sizeof x / sizeof *x; ++i) x[i] = (float)(i % 17);
  weights.norm_weight = norm;
  weights.norm_bias = norm + kChannels;
  weights.qkv_weight = qkv;
  weights.out_weight = out;
  if (edgeattn_make_plan(memory[0], sizeof memory[0], &spec, &shape, &options, &plan, &message) != EDGEATTN_OK) return -1;
  if (edgeattn_describe_plan(plan, &info, &message) != EDGEATTN_OK) return -1;
  if (edgeattn_prepare(plan, &weights, memory[1], sizeof memory[1], &prepared, &message) != EDGEATTN_OK) return -1;
  if (edgeattn_bind(plan, prepared, memory[2], sizeof memory[2], memory[3], sizeof memory[3], NULL, &block, &message) != EDGEATTN_OK)
    return -1;
  return edgeattn_run(block, x, y, &message) == EDGEATTN_OK ? info.gemm : -1;
}
