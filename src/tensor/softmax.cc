#include <algorithm>
#include <limits>
#include <numbers>

#include "float_scope.h"
#include "kernels.h"
#include "tensor/check.h"
#include "tensor/copy.h"
#include "tensor/planes.h"

namespace edgeattn {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Rows that the kernel takes at once: it works on four side by side.
constexpr std::size_t kRowsAtOnce = 4;
/// Columns taken at once where the dim's elements are apart.
constexpr std::size_t kColumns = 64;

/// Rows of `count` elements, which a softmax takes each by itself.
struct Slices {
  const float* x;
  float* out;
  std::size_t rows;
  std::size_t count;
  std::size_t x_row, out_row;    ///< from row to row
  std::size_t x_step, out_step;  ///< from element to element of a row
};

float larger(float best, float value) noexcept { return value > best ? value : best; }

/// NaN aside; -inf if there is nothing else.
float largest(const float* x, std::size_t count, std::size_t step) noexcept {
  constexpr std::size_t kLanes = 16;  // side by side, so that their comparisons vectorise
  float best[kLanes];
  std::fill_n(best, kLanes, -kInfinity);
  std::size_t i = 0;
  if (step == 1)
    for (; i + kLanes <= count; i += kLanes)
      for (std::size_t lane = 0; lane < kLanes; ++lane) best[lane] = larger(best[lane], x[i + lane]);
  for (; i < count; ++i) best[0] = larger(best[0], x[i * step]);
  return *std::max_element(best, best + kLanes);
}

/// The score of base 2 whose power is exp(x - largest). The largest goes before the scale: scaled first, large scores of small
/// differences would lose them. Where exp is 0, -inf included, the score is a number that the kernels turn into 0.
float score(float x, float largest) noexcept {
  constexpr auto kLog2E = static_cast<float>(std::numbers::log2e);
  constexpr float kPowerIsZero = -200;
  const float scaled = (x - largest) * kLog2E;
  return scaled < kPowerIsZero ? kPowerIsZero : scaled;
}

/// Up to kRowsAtOnce rows, the elements of each side by side in `out`.
void softmax_rows(const Kernels& kernels, const Slices& slices) noexcept {
  for (std::size_t i = 0; i < slices.rows; ++i) {
    const float* const x = slices.x + i * slices.x_row;
    float* const scores = slices.out + i * slices.out_row;
    const float max = largest(x, slices.count, slices.x_step);
    if (slices.x_step == 1) {
      for (std::size_t j = 0; j < slices.count; ++j) scores[j] = score(x[j], max);
    } else {
      for (std::size_t j = 0; j < slices.count; ++j) scores[j] = score(x[j * slices.x_step], max);
    }
  }
  float max[kRowsAtOnce], sum[kRowsAtOnce] = {}, rescale[kRowsAtOnce];
  std::fill_n(max, kRowsAtOnce, -kInfinity);
  kernels.softmax(slices.out, slices.rows, slices.count, slices.out_row, max, sum, rescale);
  kernels.normalize_rows(slices.out, sum, slices.rows, slices.count, slices.out_row);
}

/// Up to kColumns rows, element by element of all of them.
void softmax_columns(const Kernels& kernels, const Slices& slices) noexcept {
  float max[kColumns], power[kColumns];
  double sum[kColumns] = {};
  std::fill_n(max, kColumns, -kInfinity);
  for (std::size_t j = 0; j < slices.count; ++j)
    for (std::size_t i = 0; i < slices.rows; ++i)
      max[i] = larger(max[i], slices.x[j * slices.x_step + i * slices.x_row]);
  for (std::size_t j = 0; j < slices.count; ++j) {
    for (std::size_t i = 0; i < slices.rows; ++i)
      power[i] = score(slices.x[j * slices.x_step + i * slices.x_row], max[i]);
    kernels.exp2(power, power, slices.rows);
    for (std::size_t i = 0; i < slices.rows; ++i) {
      sum[i] += double{power[i]};
      slices.out[j * slices.out_step + i * slices.out_row] = power[i];
    }
  }
  for (std::size_t i = 0; i < slices.rows; ++i) power[i] = static_cast<float>(1.0 / sum[i]);
  for (std::size_t j = 0; j < slices.count; ++j)
    for (std::size_t i = 0; i < slices.rows; ++i) slices.out[j * slices.out_step + i * slices.out_row] *= power[i];
}

}  // namespace

Status softmax(const TensorView<const float>& tensor, std::ptrdiff_t dim, const TensorView<float>& out, Isa isa) noexcept {
  const FloatScope scope(Denormals::kKept);
  const TensorLayout &from = tensor.layout(), &to = out.layout();
  std::size_t d = 0;
  EDGEATTN_TRY(find_dim(from.rank, dim, d));
  if (from.rank != to.rank || !std::equal(from.sizes, from.sizes + from.rank, to.sizes))
    return Status::error(StatusCode::kInvalidArgument, "softmax: out has other sizes than the tensor");
  EDGEATTN_TRY(check_memory("softmax", memory_of("the tensor", tensor)));
  EDGEATTN_TRY(check_memory("softmax", memory_of("out", out)));
  EDGEATTN_TRY(check_writable("softmax", to));
  if (tensor.data() != out.data() || !(from == to))
    EDGEATTN_TRY(check_disjoint("softmax", memory_of("the tensor", tensor), memory_of("out", out)));
  Kernels kernels;
  EDGEATTN_TRY(tensor_kernels(isa, kernels));
  if (from.elements() == 0) return {};

  const std::size_t rows = nearest_dim(to, d);
  const bool side_by_side = to.strides[d] == 1 || to.sizes[d] == 1;
  const std::size_t row_count = rows == d ? 1 : to.sizes[rows];
  const std::size_t most = side_by_side ? kRowsAtOnce : kColumns;
  const Planes planes(from, to, rows, d);
  for (std::size_t i = 0; i < planes.count(); ++i) {
    const Planes::Place place = planes.place(i);
    for (std::size_t first = 0; first < row_count; first += most) {
      const Slices slices{.x = tensor.data() + place.from + first * from.strides[rows],
                          .out = out.data() + place.to + first * to.strides[rows],
                          .rows = std::min(most, row_count - first),
                          .count = to.sizes[d],
                          .x_row = from.strides[rows],
                          .out_row = to.strides[rows],
                          .x_step = from.strides[d],
                          .out_step = to.strides[d]};
      side_by_side ? softmax_rows(kernels, slices) : softmax_columns(kernels, slices);
    }
  }
  return {};
}

}  // namespace edgeattn
