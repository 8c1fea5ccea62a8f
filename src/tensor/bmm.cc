#include <algorithm>
#include <cmath>
#include <string_view>

#include "block/spans.h"
#include "float_scope.h"
#include "gemm/builtin.h"
#include "plan/isa.h"
#include "plan/tiles.h"
#include "tensor/check.h"
#include "tensor/copy.h"

namespace edgeattn {
namespace {

/// Most rows of a tile: what is copied of them stays in the caches.
constexpr std::size_t kMostRows = 252;

/// One matrix of a batch.
struct Matrix {
  const float* data;
  std::size_t row_stride;
  std::size_t column_stride;

  Matrix(const TensorView<const float>& batch, std::size_t index) noexcept
      : data(batch.data() + index * batch.stride(0)), row_stride(batch.stride(1)), column_stride(batch.stride(2)) {}

  [[nodiscard]] const float* at(std::size_t row, std::size_t column) const noexcept {
    return data + row * row_stride + column * column_stride;
  }
};

/// Writes `b` where the operator looks for it, its biases and padding as zeros.
void pack(const Kernels& kernels, const Matrix& b, const PanelLayout& layout, float* packed) noexcept {
  if (!layout.plain()) {
    std::fill_n(packed, layout.size(), 0.0f);
    for (std::size_t j = 0; j < layout.outputs; ++j)
      for (std::size_t k = 0; k < layout.inputs; ++k) packed[layout.offset(k, j)] = *b.at(k, j);
    return;
  }
  for (std::size_t j = 0; j < layout.outputs; j += layout.nr, packed += layout.panel_stride()) {
    const std::size_t columns = std::min<std::size_t>(layout.nr, layout.outputs - j);
    float* const panel = packed + layout.nr;
    std::fill_n(packed, layout.nr, 0.0f);
    copy_matrix(kernels, b.at(0, j), layout.inputs, columns, b.row_stride, b.column_stride, panel, layout.nr);
    for (std::size_t k = 0; columns < layout.nr && k < layout.inputs; ++k)
      std::fill_n(panel + k * layout.nr + columns, layout.nr - columns, 0.0f);
  }
}

/// Sees to it that what is not finite comes out as a plain sum of products gives it. XNNPACK of 2022 turns NaN into -inf, that of
/// 2024 in some kernels into inf, and kernels for layouts that are not plain take anything times zero for zero where inputs are
/// padded. So infinite results, and rows of `a` that are not finite before such kernels, are computed again one by one.
class NonFinite {
 public:
  /// @param poison  [plan.row_tile]: overwritten
  NonFinite(const Kernels& kernels, const BmmPlan& plan, float* poison) noexcept
      : kernels_(kernels), shape_(plan.shape), redo_rows_(!plan.operand.plain()), poison_(poison) {}

  void restore(const Matrix& a, const Matrix& b, QueryTile tile, const float* input, float* out) const noexcept {
    if (redo_rows_) {
      kernels_.poison_rows(input, tile.rows, shape_.inner, shape_.inner, poison_);
      redo(a, b, tile, out, [](float) { return true; });
    }
    kernels_.poison_rows(out, tile.rows, shape_.columns, shape_.columns, poison_);
    redo(a, b, tile, out, [](float result) { return std::isinf(result); });
  }

 private:
  /// Computes again, in poisoned rows, what `wanted` chooses.
  template <class Wanted>
  void redo(const Matrix& a, const Matrix& b, QueryTile tile, float* out, Wanted wanted) const noexcept {
    for (std::size_t i = 0; i < tile.rows; ++i, out += shape_.columns) {
      if (poison_[i] == 0) continue;
      for (std::size_t j = 0; j < shape_.columns; ++j) {
        if (!wanted(out[j])) continue;
        float sum = 0;
        for (std::size_t k = 0; k < shape_.inner; ++k) sum += *a.at(tile.first + i, k) * *b.at(k, j);
        out[j] = sum;
      }
    }
  }

  const Kernels& kernels_;
  const BmmShape& shape_;
  bool redo_rows_;
  float* poison_;
};

Status check_sizes(const char* name, const TensorLayout& layout, std::size_t batch, std::size_t rows,
                   std::size_t columns) noexcept {
  if (layout.rank != 3)
    return Status::error(StatusCode::kInvalidArgument, "bmm: ", name, " must have 3 dims, it has ", layout.rank);
  if (layout.sizes[0] == batch && layout.sizes[1] == rows && layout.sizes[2] == columns) return {};
  return Status::error(StatusCode::kMismatch, "bmm: ", name, " must be [", batch, ", ", rows, ", ", columns, "], it is [",
                       layout.sizes[0], ", ", layout.sizes[1], ", ", layout.sizes[2], "]");
}

Status check_tensors(const TensorView<const float>& a, const TensorView<const float>& b, const TensorView<float>& out,
                     const BmmShape& shape) noexcept {
  const std::size_t batch = a.rank() > 0 ? a.size(0) : 0;
  EDGEATTN_TRY(check_sizes("a", a.layout(), batch, shape.rows, shape.inner));
  EDGEATTN_TRY(check_sizes("b", b.layout(), batch, shape.inner, shape.columns));
  EDGEATTN_TRY(check_sizes("out", out.layout(), batch, shape.rows, shape.columns));
  TensorView<float> matrix;
  EDGEATTN_TRY(narrow(out, 0, 0, std::min<std::size_t>(batch, 1), matrix));
  if (!is_contiguous(matrix))
    return Status::error(StatusCode::kInvalidArgument, "bmm: each matrix of out must be contiguous");
  EDGEATTN_TRY(check_writable("bmm", out.layout()));
  const Memory result = memory_of("out", out);
  for (const Memory& memory : {memory_of("a", a), memory_of("b", b), result}) EDGEATTN_TRY(check_memory("bmm", memory));
  for (const Memory& memory : {memory_of("a", a), memory_of("b", b)}) EDGEATTN_TRY(check_disjoint("bmm", memory, result));
  return {};
}

}  // namespace

Status plan(const BmmShape& shape, const Gemm& chosen, BmmPlan& plan, Isa isa) noexcept {
  const FloatScope scope(Denormals::kKept);
  if (shape.rows == 0 || shape.inner == 0 || shape.columns == 0)
    return Status::error(StatusCode::kInvalidArgument, "bmm: rows, inner and columns must be at least 1, given ", shape.rows, ", ",
                         shape.inner, " and ", shape.columns);
  if (chosen.probe == nullptr || chosen.mr == 0)
    return Status::error(StatusCode::kInvalidArgument, "gemm is empty: call gemm_traits first");
  BmmPlan made;
  made.shape = shape;
  EDGEATTN_TRY(tensor_isa(isa, made.isa));
  const Gemm gemm = builtin::with_kernels(chosen, kernel_set(made.isa));
  EDGEATTN_TRY(gemm.probe(shape.inner, shape.columns, made.operand));
  made.row_unit = query_unit(gemm);
  made.row_tile = cut_queries(shape.rows, made.row_unit, kMostRows, 1).rows();
  made.gemm_name = gemm.name;
  made.operator_bytes = gemm.operator_bytes;
  made.operand_offset = gemm.operand_offset;

  const auto floats = [](std::size_t count) { return sizes::mul(count, sizeof(float)); };
  const auto end_of = [](std::size_t begin, std::size_t bytes) {
    return sizes::round_up(sizes::add(begin, bytes), Plan::kAlignment);
  };
  made.persistent_bytes = gemm.operator_bytes;
  made.tile_offset = end_of(0, floats(made.operand.size()));
  made.rows_offset = end_of(made.tile_offset, sizes::add(floats(sizes::mul(made.row_tile, shape.inner)), kInputPaddingBytes));
  made.scratch_bytes = end_of(made.rows_offset, floats(made.row_tile));
  if (made.scratch_bytes == sizes::kTooLarge)
    return Status::error(StatusCode::kInvalidArgument, "bmm: the scratch of ", shape.rows, " by ", shape.inner, " by ",
                         shape.columns, " overflows");
  plan = made;
  return {};
}

Status bind(const BmmPlan& plan, std::span<std::byte> persistent, std::span<std::byte> scratch, Bmm& gemm) noexcept {
  const FloatScope scope(Denormals::kKept);
  if (plan.scratch_bytes == 0) return Status::error(StatusCode::kInvalidArgument, "the plan is empty");
  Kernels kernels;
  GemmSource source;
  EDGEATTN_TRY(tensor_kernels(plan.isa, kernels));
  EDGEATTN_TRY(find_gemm(plan.gemm_name, plan.operand_offset, kernels, source));
  EDGEATTN_TRY(check_span("persistent", persistent, plan.persistent_bytes));
  EDGEATTN_TRY(check_span("scratch", scratch, plan.scratch_bytes));
  Operator op;
  EDGEATTN_TRY(create_operator(shape_of(plan.operand, plan.shape.inner, plan.shape.columns), source,
                               persistent.first(plan.operator_bytes), scratch.first(plan.tile_offset), op));
  gemm.plan_ = plan;
  gemm.operator_ = op.object;
  gemm.operand_ = op.operand;
  gemm.scratch_ = scratch.data();
  return {};
}

Status bmm(const TensorView<const float>& a, const TensorView<const float>& b, const TensorView<float>& out, Bmm& gemm) noexcept {
  const FloatScope scope(Denormals::kKept);
  if (gemm.scratch_ == nullptr) return Status::error(StatusCode::kInvalidArgument, "bmm: gemm is not bound");
  const BmmPlan& plan = gemm.plan_;
  const BmmShape& shape = plan.shape;
  EDGEATTN_TRY(check_tensors(a, b, out, shape));
  Kernels kernels;
  kernels_init(kernels, kernel_set(plan.isa));
  const Operator op{.object = gemm.operator_, .operand = gemm.operand_};
  auto* const operand = reinterpret_cast<float*>(gemm.scratch_);
  auto* const tile_buffer = reinterpret_cast<float*>(gemm.scratch_ + plan.tile_offset);
  const NonFinite non_finite(kernels, plan, reinterpret_cast<float*>(gemm.scratch_ + plan.rows_offset));
  // XNNPACK may read past its input, which must be rows side by side: the last tile is copied even if it has them.
  const bool in_place = a.stride(2) == 1 && a.stride(1) == shape.inner && shape.inner * sizeof(float) * 2 >= kInputPaddingBytes;
  const QueryTiles tiles = cut_queries(shape.rows, plan.row_unit, plan.row_tile, 1);

  for (std::size_t batch = 0; batch < out.size(0); ++batch) {
    const Matrix left(a, batch), right(b, batch);
    if (batch == 0 || b.stride(0) != 0) pack(kernels, right, plan.operand, operand);
    for (std::size_t i = 0; i < tiles.count; ++i) {
      const QueryTile tile = tiles[i];
      const float* input = left.at(tile.first, 0);
      if (!in_place || i + 1 == tiles.count) {
        copy_matrix(kernels, input, tile.rows, shape.inner, left.row_stride, left.column_stride, tile_buffer, shape.inner);
        input = tile_buffer;
      }
      float* const results = out.data() + batch * out.stride(0) + tile.first * shape.columns;
      if (!run_operator(op, operand, tile.rows, input, results))
        return Status::error(StatusCode::kGemm, "XNNPACK refused a product");
      non_finite.restore(left, right, tile, input, results);
    }
  }
  return {};
}

}  // namespace edgeattn
