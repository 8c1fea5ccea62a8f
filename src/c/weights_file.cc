#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "c/enums.h"
#include "c/report.h"
#include "c/versioned.h"
#include "edgeattn/edgeattn_io.h"
#include "edgeattn/io.h"
#include "io/errors.h"

struct edgeattn_file {
  edgeattn::io::SafetensorsFile file;
  std::vector<edgeattn::io::BlockEntry> blocks;
};

struct edgeattn_loaded {
  edgeattn::io::BlockWeights weights;
};

namespace edgeattn::c {
namespace {

using io::guarded;

static_assert(EDGEATTN_QKV_UNSAID == static_cast<int>(io::QkvOrder::kUnsaid) &&
              EDGEATTN_QKV_NEW == static_cast<int>(io::QkvOrder::kNew) &&
              EDGEATTN_QKV_LEGACY == static_cast<int>(io::QkvOrder::kLegacy));
static_assert(EDGEATTN_UNTOLD_HEADS == io::Untold::kHeads && EDGEATTN_UNTOLD_GROUPS == io::Untold::kGroups &&
              EDGEATTN_UNTOLD_EPS == io::Untold::kEps && EDGEATTN_UNTOLD_RESCALE_OUTPUT == io::Untold::kRescaleOutput);

Status keep(io::SafetensorsFile file, edgeattn_file** made) {
  auto object = std::make_unique<edgeattn_file>();
  object->file = std::move(file);
  EDGEATTN_TRY(io::find_blocks(object->file, object->blocks));
  *made = object.release();
  return {};
}

Status open_file(const char* path, edgeattn_file** made) noexcept {
  if (path == nullptr) return is_null("path");
  if (made == nullptr) return is_null("file");
  return guarded(StatusCode::kIo, path, [&]() -> Status {
    io::SafetensorsFile file;
    EDGEATTN_TRY(io::SafetensorsFile::open(path, file));
    return keep(std::move(file), made);
  });
}

Status open_memory(const void* bytes, std::size_t count, const char* name, edgeattn_file** made) noexcept {
  if (bytes == nullptr) return is_null("bytes");
  if (name == nullptr) return is_null("name");
  if (made == nullptr) return is_null("file");
  return guarded(StatusCode::kFormat, name, [&]() -> Status {
    io::SafetensorsFile file;
    EDGEATTN_TRY(io::SafetensorsFile::parse({static_cast<const std::byte*>(bytes), count}, name, file));
    return keep(std::move(file), made);
  });
}

Status load_block(const edgeattn_file* object, const edgeattn_request* given, edgeattn_loaded** made) noexcept {
  if (object == nullptr) return is_null("file");
  if (made == nullptr) return is_null("loaded");
  edgeattn_request known{};
  if (given != nullptr)
    EDGEATTN_TRY(read_struct("request", given, EDGEATTN_SIZE_UP_TO(edgeattn_request, rescale_output), &known, sizeof known));
  Norm norm = Norm::kGroup;
  if (known.norm != nullptr) EDGEATTN_TRY(read_enum("request.norm", *known.norm, Norm::kNone, norm));
  io::QkvOrder qkv_order{};
  EDGEATTN_TRY(read_enum("request.qkv_order", known.qkv_order, io::QkvOrder::kLegacy, qkv_order));
  const bool residual = known.no_residual == 0;
  return guarded(StatusCode::kFormat, object->file.path(), [&]() -> Status {
    const std::string prefix = known.prefix != nullptr ? known.prefix : "";
    auto result = std::make_unique<edgeattn_loaded>();
    EDGEATTN_TRY(io::load_block(object->file,
                                {.prefix = known.prefix != nullptr ? &prefix : nullptr,
                                 .norm = known.norm != nullptr ? &norm : nullptr,
                                 .groups = known.groups,
                                 .eps = known.eps,
                                 .heads = known.heads,
                                 .qkv_order = qkv_order,
                                 .residual = residual ? nullptr : &residual,
                                 .rescale_output = known.rescale_output,
                                 .scale = known.scale},
                                result->weights));
    *made = result.release();
    return {};
  });
}

Status write_spec(const Spec& spec, edgeattn_spec* out) noexcept {
  const edgeattn_spec known{.size = sizeof known,
                            .channels = spec.channels,
                            .norm = static_cast<edgeattn_norm>(spec.norm),
                            .no_residual = !spec.residual,
                            .groups = spec.groups,
                            .heads = spec.heads,
                            .eps = spec.eps,
                            .scale = spec.scale,
                            .rescale_output = spec.rescale_output};
  return write_struct("spec", &known, sizeof known, EDGEATTN_SIZE_UP_TO(edgeattn_spec, rescale_output), Cut::kForbidden, out);
}

Status write_weights(const Weights& weights, edgeattn_weights* out) noexcept {
  const edgeattn_weights known{.size = sizeof known,
                               .norm_weight = weights.norm_weight,
                               .norm_bias = weights.norm_bias,
                               .running_mean = weights.running_mean,
                               .running_var = weights.running_var,
                               .qkv_weight = weights.qkv_weight,
                               .qkv_bias = weights.qkv_bias,
                               .out_weight = weights.out_weight,
                               .out_bias = weights.out_bias,
                               .score_weight = weights.score_weight,
                               .score_bias = weights.score_bias,
                               .pool = nullptr};
  return write_struct("weights", &known, sizeof known, EDGEATTN_SIZE_UP_TO(edgeattn_weights, score_bias), Cut::kForbidden, out);
}

Status view_block(const edgeattn_loaded* loaded, edgeattn_spec* spec, edgeattn_weights* weights) noexcept {
  if (loaded == nullptr) return is_null("loaded");
  if (spec != nullptr) EDGEATTN_TRY(write_spec(loaded->weights.spec, spec));
  if (weights != nullptr) EDGEATTN_TRY(write_weights(loaded->weights.view(), weights));
  return {};
}

/// The tensor `name` of a file.
Status find(const edgeattn_file* object, const char* name, const io::TensorInfo*& tensor) noexcept {
  if (object == nullptr) return is_null("file");
  if (name == nullptr) return is_null("name");
  tensor = object->file.find(name);
  if (tensor != nullptr) return {};
  return io::tensor_error(StatusCode::kNotFound, object->file.path(), name, "does not exist");
}

Status find_tensor(const edgeattn_file* object, const char* name, edgeattn_tensor* out) noexcept {
  const io::TensorInfo* tensor = nullptr;
  EDGEATTN_TRY(find(object, name, tensor));
  if (tensor->shape.size() > EDGEATTN_MOST_DIMENSIONS)
    return io::tensor_error(StatusCode::kUnsupported, object->file.path(), name, "expected at most ",
                            std::size_t{EDGEATTN_MOST_DIMENSIONS}, " dimensions, given ", tensor->shape.size());
  edgeattn_tensor known{.size = sizeof known, .elements = tensor->elements(), .rank = tensor->shape.size(), .shape = {}};
  std::ranges::copy(tensor->shape, known.shape);
  return write_struct("tensor", &known, sizeof known, EDGEATTN_SIZE_UP_TO(edgeattn_tensor, shape), Cut::kAllowed, out);
}

Status read_tensor(const edgeattn_file* object, const char* name, float* values, std::size_t count) noexcept {
  const io::TensorInfo* tensor = nullptr;
  EDGEATTN_TRY(find(object, name, tensor));
  if (values == nullptr) return is_null("values");
  if (tensor->elements() > count)
    return io::tensor_error(StatusCode::kTooSmall, object->file.path(), name, "room for ", tensor->elements(),
                            " values required, ", count, " given");
  return guarded(StatusCode::kFormat, object->file.path(), [&]() -> Status {
    std::vector<float> converted;
    EDGEATTN_TRY(object->file.read(*tensor, converted));
    std::ranges::copy(converted, values);
    return {};
  });
}

}  // namespace
}  // namespace edgeattn::c

using namespace edgeattn;

edgeattn_status edgeattn_open_file(const char* path, edgeattn_file** file, edgeattn_message* message) {
  return c::report(c::open_file(path, file), message);
}

edgeattn_status edgeattn_open_memory(const void* bytes, size_t count, const char* name, edgeattn_file** file,
                                     edgeattn_message* message) {
  return c::report(c::open_memory(bytes, count, name, file), message);
}

void edgeattn_close_file(edgeattn_file* file) { delete file; }

size_t edgeattn_block_count(const edgeattn_file* file) { return file != nullptr ? file->blocks.size() : 0; }

const char* edgeattn_block_prefix(const edgeattn_file* file, size_t index) {
  return index < edgeattn_block_count(file) ? file->blocks[index].prefix.c_str() : nullptr;
}

edgeattn_status edgeattn_load_block(const edgeattn_file* file, const edgeattn_request* request, edgeattn_loaded** loaded,
                                    edgeattn_message* message) {
  return c::report(c::load_block(file, request, loaded), message);
}

edgeattn_status edgeattn_view_block(const edgeattn_loaded* loaded, edgeattn_spec* spec, edgeattn_weights* weights,
                                    edgeattn_message* message) {
  return c::report(c::view_block(loaded, spec, weights), message);
}

uint32_t edgeattn_assumed(const edgeattn_loaded* loaded) { return loaded != nullptr ? loaded->weights.assumed : 0; }

void edgeattn_free_block(edgeattn_loaded* loaded) { delete loaded; }

edgeattn_status edgeattn_find_tensor(const edgeattn_file* file, const char* name, edgeattn_tensor* tensor,
                                     edgeattn_message* message) {
  return c::report(c::find_tensor(file, name, tensor), message);
}

edgeattn_status edgeattn_read_tensor(const edgeattn_file* file, const char* name, float* values, size_t count,
                                     edgeattn_message* message) {
  return c::report(c::read_tensor(file, name, values, count), message);
}
