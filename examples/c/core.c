/* The core library alone: weights as plain pointers, and every byte from one piece of memory.
   One block at two sizes, as in a UNet that runs at two resolutions: one prepared copy of the weights, one scratch.

   core          runs on the calling thread; prints the bytes, and checks that the same pixels give the same bits */
#include <edgeattn/edgeattn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 64, PLANS = 2, LARGEST = 16 * 16, IMAGE = CHANNELS * LARGEST };

static edgeattn_message message;

static void check(edgeattn_status status) {
  if (status == EDGEATTN_OK) return;
  fprintf(stderr, "%s: %s\n", edgeattn_status_string(status), message.text);
  exit(1);
}

static float qkv[3 * CHANNELS * CHANNELS], out[CHANNELS * CHANNELS], ones[CHANNELS], zeros[CHANNELS];
static float x[IMAGE], y[IMAGE];

/* Numbers around 0, the same in every run. */
static void fill(float* values, size_t count, float deviation) {
  static unsigned state = 1;
  size_t i;
  for (i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    values[i] = deviation * ((float)(state >> 8) / 8388608.0f - 1.0f);
  }
}

/* The next `bytes` of memory, which are a multiple of the alignment. */
static char* next;
static void* take(size_t bytes) {
  void* const taken = next;
  next += bytes;
  return taken;
}

int main(void) {
  static const size_t sides[PLANS] = {8, 16};
  edgeattn_spec spec = {.size = sizeof spec};
  edgeattn_weights weights = {.size = sizeof weights};
  edgeattn_memory total = {.size = sizeof total};
  const edgeattn_prepared* prepared;
  edgeattn_plan* plans[PLANS];
  edgeattn_plan_info info[PLANS];
  edgeattn_block* blocks[PLANS];
  void *memory, *scratch;
  size_t i;

  spec.channels = CHANNELS;
  spec.eps = 1e-5;
  fill(qkv, sizeof qkv / sizeof *qkv, 0.2f);
  fill(out, sizeof out / sizeof *out, 0.2f);
  fill(x, IMAGE, 1.0f);
  for (i = 0; i < CHANNELS; ++i) ones[i] = 1.0f;
  weights.norm_weight = ones;
  weights.norm_bias = zeros;
  weights.qkv_weight = qkv;
  weights.out_weight = out;

  for (i = 0; i < PLANS; ++i) {
    edgeattn_shape shape = {.size = sizeof shape};
    shape.height = shape.width = sides[i];
    void* const place = aligned_alloc(EDGEATTN_ALIGNMENT, edgeattn_plan_bytes());
    check(edgeattn_make_plan(place, edgeattn_plan_bytes(), &spec, &shape, NULL, &plans[i], &message));
    info[i].size = sizeof info[i];
    check(edgeattn_describe_plan(plans[i], &info[i], &message));
  }

  /* Both plans share the weights: one prepared copy is enough. */
  check(edgeattn_sum_memory((const edgeattn_plan* const*)plans, PLANS, &total, &message));
  total.prepared_bytes = info[0].prepared_bytes;
  memory = aligned_alloc(EDGEATTN_ALIGNMENT, total.prepared_bytes + total.persistent_bytes + total.scratch_bytes);
  if (memory == NULL) return 1;
  next = memory;
  check(edgeattn_prepare(plans[0], &weights, take(total.prepared_bytes), total.prepared_bytes, &prepared, &message));
  scratch = take(total.scratch_bytes);
  for (i = 0; i < PLANS; ++i)
    check(edgeattn_bind(plans[i], prepared, take(info[i].persistent_bytes), info[i].persistent_bytes, scratch,
                        total.scratch_bytes, NULL, &blocks[i], &message));
  for (i = 0; i < PLANS; ++i) free(plans[i]); /* bound blocks do not need them */

  for (i = 0; i < PLANS; ++i) {
    const size_t bytes = sizeof(float) * CHANNELS * sides[i] * sides[i];
    check(edgeattn_run(blocks[i], x, y, &message));
    if (memcmp(x, y, bytes) == 0) return 1;
  }
  check(edgeattn_run(blocks[PLANS - 1], x, x, &message)); /* in place */
  if (memcmp(x, y, sizeof x) != 0) return 1;
  printf("edgeattn %s: two blocks in %lu bytes prepared, %lu persistent, %lu scratch\n", edgeattn_version(),
         (unsigned long)total.prepared_bytes, (unsigned long)total.persistent_bytes, (unsigned long)total.scratch_bytes);
  free(memory);
  return 0;
}
