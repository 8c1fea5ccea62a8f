/* A block of a weights file on two threads of a pool, against an output that is known:

   block WEIGHTS.safetensors PREFIX ACTIVATIONS.safetensors INPUT OUTPUT */
#include <edgeattn/edgeattn_io.h>
#include <pthreadpool.h>
#include <stdio.h>
#include <stdlib.h>

static edgeattn_message message;

static void check(edgeattn_status status) {
  if (status == EDGEATTN_OK) return;
  fprintf(stderr, "%s: %s\n", edgeattn_status_string(status), message.text);
  exit(1);
}

/* Memory for edgeattn, all of whose sizes are multiples of the alignment. */
static void* allocate(size_t bytes) {
  void* const memory = aligned_alloc(EDGEATTN_ALIGNMENT, bytes);
  if (memory == NULL) exit(1);
  return memory;
}

static float* read_tensor(const edgeattn_file* file, const char* name, edgeattn_tensor* tensor) {
  float* values;
  tensor->size = sizeof *tensor;
  check(edgeattn_find_tensor(file, name, tensor, &message));
  values = malloc(tensor->elements * sizeof *values);
  if (values == NULL) exit(1);
  check(edgeattn_read_tensor(file, name, values, tensor->elements, &message));
  return values;
}

int main(int count, char** arguments) {
  edgeattn_file *file, *activations;
  edgeattn_loaded* loaded;
  edgeattn_request request = {.size = sizeof request};
  edgeattn_spec spec = {.size = sizeof spec};
  edgeattn_weights weights = {.size = sizeof weights};
  edgeattn_shape shape = {.size = sizeof shape};
  edgeattn_options options = {.size = sizeof options};
  edgeattn_plan_info bytes = {.size = sizeof bytes};
  edgeattn_tensor input, output;
  edgeattn_plan* plan;
  const edgeattn_prepared* prepared;
  edgeattn_block* block;
  float *x, *expected, *y, difference = 0;
  void *plan_memory, *prepared_memory, *persistent, *scratch;
  pthreadpool_t pool;
  size_t i;

  if (count != 6) {
    fprintf(stderr, "usage: block WEIGHTS.safetensors PREFIX ACTIVATIONS.safetensors INPUT OUTPUT\n");
    return 2;
  }
  check(edgeattn_open_file(arguments[1], &file, &message));
  request.prefix = arguments[2];
  check(edgeattn_load_block(file, &request, &loaded, &message));
  edgeattn_close_file(file);
  check(edgeattn_view_block(loaded, &spec, &weights, &message));

  check(edgeattn_open_file(arguments[3], &activations, &message));
  x = read_tensor(activations, arguments[4], &input);
  expected = read_tensor(activations, arguments[5], &output);
  edgeattn_close_file(activations);
  if (input.rank != 4 || input.shape[1] != spec.channels || output.elements != input.elements) {
    fprintf(stderr, "expected tensors [B, %lu, H, W]\n", (unsigned long)spec.channels);
    return 1;
  }
  y = malloc(input.elements * sizeof *y);
  if (y == NULL) return 1;

  /* Every byte is known before any memory of the block exists. */
  shape.batch = input.shape[0];
  shape.height = input.shape[2];
  shape.width = input.shape[3];
  options.threads = 2;
  plan_memory = allocate(edgeattn_plan_bytes());
  check(edgeattn_make_plan(plan_memory, edgeattn_plan_bytes(), &spec, &shape, &options, &plan, &message));
  check(edgeattn_describe_plan(plan, &bytes, &message));
  prepared_memory = allocate(bytes.prepared_bytes);
  persistent = allocate(bytes.persistent_bytes);
  scratch = allocate(bytes.scratch_bytes);
  check(edgeattn_prepare(plan, &weights, prepared_memory, bytes.prepared_bytes, &prepared, &message));
  edgeattn_free_block(loaded);
  pool = pthreadpool_create(2);
  check(edgeattn_bind(plan, prepared, persistent, bytes.persistent_bytes, scratch, bytes.scratch_bytes, pool, &block, &message));

  check(edgeattn_run(block, x, y, &message)); /* allocates nothing */
  for (i = 0; i < input.elements; ++i) {
    const float off = y[i] < expected[i] ? expected[i] - y[i] : y[i] - expected[i];
    if (!(off <= difference)) difference = off;
  }
  printf("'%s': at most %.3g from what is expected, in %lu bytes of scratch\n", arguments[2], (double)difference,
         (unsigned long)bytes.scratch_bytes);

  pthreadpool_destroy(pool);
  free(scratch);
  free(persistent);
  free(prepared_memory);
  free(plan_memory);
  free(y);
  free(expected);
  free(x);
  return difference <= 1e-5f ? 0 : 1;
}
