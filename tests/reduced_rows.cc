// Checkers of the kernels of reduced precision that work on rows: round_rows, quantize_rows, softmax_half.

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "matrices.h"
#include "reduced_checker.h"

namespace edgeattn::test {
namespace {

/// A row unlike others: ties, what rounds up to the next power of two, what overflows, and what is not finite.
void spoil_for_rounding(Matrix& rows, std::size_t i) {
  constexpr float kSpecial[] = {0x1.01p0f, 0x1.03p0f, 0x1.0100002p0f, 0x1.FFp3f, 0x1.FFFFFEp127f, -0x1.FEFFFEp127f, 65519.9f, -65520.0f,
                                0x1.002p0f, 0x1.006p0f, 0x1p-126f, -0.0f, kInf, -kInf, kNan};
  for (std::size_t c = 0; c < rows.columns; ++c) rows.at(i, c) = kSpecial[(c + i) % std::size(kSpecial)];
}

void check_rounded(const Reduced& table, Matrix& rows, Buffer* sum, Findings& findings) {
  const HalfFormat format(table.traits);
  PaddedRows<Half> actual(rows.rows, rows.columns, rows.columns % 3), expected(rows.rows, rows.columns, rows.columns % 3);
  table.round_rows(rows.values.data(), sum == nullptr ? nullptr : sum->data(), rows.rows, rows.columns, rows.stride,
                   actual.values.data(), actual.stride);
  for (std::size_t i = 0; i < rows.rows; ++i) {
    for (std::size_t c = 0; c < rows.columns; ++c) {
      const float value = sum == nullptr ? rows.at(i, c) : rows.at(i, c) * (1.0f / (*sum)[i]);
      const Half found = actual.at(i, c);
      const bool may_vanish = std::abs(static_cast<double>(value)) < format.smallest();
      const bool as_good = (may_vanish && format.value(found) == 0) || (std::isnan(value) && format.is_nan(found));
      expected.at(i, c) = as_good ? found : format.nearest(static_cast<double>(value));
      if (!may_vanish) findings.add(static_cast<float>(format.value(found)));
    }
  }
  expected.zero_padding();
  findings.require_same_bytes(actual.values, expected.values, [&] { return rows.text(); });
}

struct QuantizeCase {
  Matrix& rows;
  Buffer* center;
  std::uint8_t flip;
  bool with_sums;

  float centered(std::size_t i, std::size_t c) const {
    return center == nullptr ? rows.at(i, c) : rows.at(i, c) - (*center)[c];
  }
  std::string text() const {
    return rows.text() + (center == nullptr ? "" : ", centered") + ", flip " + std::to_string(flip);
  }
};

/// The formula, of which every step is rounded once in float; and float64 on what it amounts to.
void check_quantized(const Reduced& table, const QuantizeCase& test, Findings& findings) {
  Matrix& rows = test.rows;
  PaddedRows<std::uint8_t> actual(rows.rows, rows.columns, rows.columns % 3), expected(rows.rows, rows.columns, rows.columns % 3);
  Buffer scales(rows.rows), expected_scales(rows.rows);
  Guarded<std::int32_t> sums(rows.rows), expected_sums(rows.rows);
  table.quantize_rows(rows.values.data(), test.center == nullptr ? nullptr : test.center->data(), rows.rows, rows.columns, rows.stride,
                      test.flip, actual.values.data(), actual.stride, scales.data(), test.with_sums ? sums.data() : nullptr);
  for (std::size_t i = 0; i < rows.rows; ++i) {
    float largest = 0;
    bool finite = true;
    for (std::size_t c = 0; c < rows.columns; ++c) {
      finite = finite && std::isfinite(test.centered(i, c));
      largest = std::max(largest, std::abs(test.centered(i, c)));
    }
    const bool vanishes = largest < 0x1p-100f;
    expected_scales[i] = !finite ? kNan : vanishes ? 0.0f : largest / 127.0f;
    std::int32_t sum = 0;
    for (std::size_t c = 0; c < rows.columns; ++c) {
      if (!finite) {
        expected.at(i, c) = actual.at(i, c);
        continue;
      }
      const float quantized = vanishes ? 0.0f : std::nearbyint(test.centered(i, c) * (127.0f / largest));
      sum += static_cast<std::int32_t>(quantized);
      expected.at(i, c) = static_cast<std::uint8_t>(static_cast<std::uint8_t>(static_cast<std::int32_t>(quantized)) ^ test.flip);
      const double scale = static_cast<double>(scales[i]);
      const double back = scale * static_cast<double>(static_cast<std::int8_t>(actual.at(i, c) ^ test.flip));
      const double error = std::abs(back - static_cast<double>(test.centered(i, c)));
      findings.require(error <= (vanishes ? 0x1p-100 : 0.5 * scale * (1 + 0x1p-14)), [&] { return "error of a byte, " + test.text(); });
      findings.add(quantized);
    }
    if (test.with_sums) expected_sums[i] = finite ? sum : sums[i];
  }
  expected.zero_padding();
  findings.require_same_bytes(actual.values, expected.values, [&] { return test.text(); });
  findings.require_same(scales, expected_scales, [&] { return "scales, " + test.text(); });
  findings.require_same_bytes(sums, expected_sums, [&] { return "sums, " + test.text(); });
}

struct HalfSoftmax {
  explicit HalfSoftmax(std::size_t rows) : max(rows), sum(rows), rescale(rows), exact_sum(rows) {
    for (std::size_t i = 0; i < rows; ++i) {
      max[i] = -kInf;
      sum[i] = 0;
    }
  }
  void add(const Reduced& table, Matrix& scores, PaddedRows<Half>& weights) {
    table.softmax_half(scores.values.data(), scores.rows, scores.columns, scores.stride, max.data(), sum.data(), rescale.data(),
                       weights.values.data(), weights.stride);
  }

  Buffer max;
  Buffer sum;
  Buffer rescale;
  std::vector<double> exact_sum;
  double relative_bound = 0;  ///< of the sums so far
};

void check_half_block(const Reduced& table, HalfSoftmax& state, Matrix& scores, Findings& findings) {
  const HalfFormat format(table.traits);
  Matrix before(scores.rows, scores.columns, scores.stride - scores.columns);
  before.values.copy(scores.values);
  Buffer max_before(scores.rows);
  max_before.copy(state.max);
  PaddedRows<Half> weights(scores.rows, scores.columns, scores.columns % 2), expected(scores.rows, scores.columns, scores.columns % 2);
  state.add(table, scores, weights);
  constexpr double kPower = kExp2Ulp * 0x1p-23;
  state.relative_bound += static_cast<double>(scores.columns + 2) * 0x1p-24 + 2 * kPower;
  for (std::size_t i = 0; i < scores.rows; ++i) {
    float max = max_before[i];
    for (std::size_t j = 0; j < scores.columns; ++j) max = std::max(max, scores.at(i, j));
    findings.require(state.max[i] == max, [&] { return "max, " + scores.text(); });
    const bool first = max_before[i] == -kInf;
    findings.require(first ? bits_of(state.rescale[i]) == 0 : is_power(state.rescale[i], max_before[i] - max),
                     [&] { return "rescale, " + scores.text(); });
    double total = first ? 0 : state.exact_sum[i] * static_cast<double>(state.rescale[i]);
    for (std::size_t j = 0; j < scores.columns; ++j) {
      const float shifted = scores.at(i, j) - max;
      const double power = shifted < -126 ? 0 : std::exp2(static_cast<double>(shifted));
      const double weight = format.value(weights.at(i, j));
      const double bound = format.unit() * std::max(power, format.smallest()) + kPower * power;
      const bool vanishes = power < format.smallest() && weight == 0;
      findings.require(vanishes || std::abs(weight - power) <= bound, [&] { return "weight, " + scores.text(); });
      findings.require(shifted != 0 || weight == 1, [&] { return "weight of the largest, " + scores.text(); });
      findings.add(static_cast<float>(weight), vanishes ? power : bound);
      total += power;
      expected.at(i, j) = weights.at(i, j);
    }
    state.exact_sum[i] = total;
    findings.require(std::abs(static_cast<double>(state.sum[i]) - total) <= state.relative_bound * total,
                     [&] { return "sum, " + scores.text(); });
    findings.add(state.max[i], 0);
    findings.add(state.rescale[i], power_bound(state.rescale[i]));
    findings.add(state.sum[i], state.relative_bound * total);
  }
  expected.zero_padding();
  findings.require_same(scores.values, before.values, [&] { return "scores, " + scores.text(); });
  findings.require_same_bytes(weights.values, expected.values, [&] { return "weights, " + scores.text(); });
  for (const Buffer* buffer : {&state.max, &state.sum, &state.rescale})
    findings.require(buffer->margins_intact(), [&] { return "row results, " + scores.text(); });
}

/// A row gets the same bits whichever rows stand around it, and spoils no other.
void check_half_rows_alone(const Reduced& table, Matrix& scores, Findings& findings) {
  HalfSoftmax all(scores.rows);
  PaddedRows<Half> together(scores.rows, scores.columns, 1);
  all.add(table, scores, together);
  for (std::size_t i = 0; i < scores.rows; ++i) {
    Matrix row(1, scores.columns, 0);
    std::copy_n(&scores.at(i, 0), scores.columns, row.values.data());
    HalfSoftmax one(1);
    PaddedRows<Half> alone(1, scores.columns, 0);
    one.add(table, row, alone);
    const bool finite = std::all_of(row.values.data(), row.values.data() + row.columns, [](float score) { return std::isfinite(score); });
    findings.require(finite || std::isnan(all.sum[i]), [&] { return "sum of a non-finite row, " + scores.text(); });
    const bool equal = same(one.sum[0], all.sum[i]) && same(one.max[0], all.max[i]) && same(one.rescale[0], all.rescale[i]) &&
                       (!finite || std::equal(alone.row(0), alone.row(0) + alone.padded, together.row(i)));
    findings.require(equal, [&] { return "a row alone differs from the row in a tile, " + scores.text(); });
  }
}

}  // namespace

void check_round_rows(const Reduced& table, Findings& findings) {
  for_matrices(41, [&](std::size_t count, std::size_t channels, std::size_t gap, std::mt19937_64& engine) {
    Matrix rows(count, channels, gap);
    rows.fill_rows(engine, 3);
    Buffer sum(count);
    for (std::size_t i = 0; i < count; ++i) sum[i] = static_cast<float>(i + channels % 7) * 0.37f + 0.5f;
    check_rounded(table, rows, &sum, findings);
    check_rounded(table, rows, nullptr, findings);
    const NotFinite data;
    spoil_for_rounding(rows, channels % count);
    check_rounded(table, rows, &sum, findings);
    check_rounded(table, rows, nullptr, findings);
    sum[count / 2] = kNan;
    check_rounded(table, rows, &sum, findings);
  });
}

void check_quantize_rows(const Reduced& table, Findings& findings) {
  std::size_t turn = 0;
  for_matrices(42, [&](std::size_t count, std::size_t channels, std::size_t gap, std::mt19937_64& engine) {
    Matrix rows(count, channels, gap);
    rows.fill_rows(engine, turn % 5 == 0 ? 1e30 : 1);
    Matrix center(1, channels, 0);
    center.fill_rows(engine, 2);
    const auto check = [&] {
      ++turn;
      const auto flip = static_cast<std::uint8_t>(turn % 2 == 0 ? 0x80 : 0);
      check_quantized(table, {rows, turn % 4 < 2 ? nullptr : &center.values, flip, turn % 3 != 0}, findings);
    };
    for (std::size_t repeat = 0; repeat < 4; ++repeat) check();
    // Ties: halves of the largest, 127; a row of zeros, or nearly.
    std::fill_n(&rows.at(0, 0), channels, turn % 3 == 0 ? 0.0f : 1e-31f);
    for (std::size_t c = 0; c < channels; ++c) rows.at(count - 1, c) = c == 0 ? -127.0f : static_cast<float>(c % 250) - 124.5f;
    check_quantized(table, {rows, nullptr, 0x80, true}, findings);
    const NotFinite data;
    for (float bad : kNonFinite) {
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t c = (turn + i) % channels;
        const float good = std::exchange(rows.at(i, c), bad);
        check();
        rows.at(i, c) = good;
      }
    }
  });
}

void check_softmax_half(const Reduced& table, Findings& findings) {
  for_matrices(43, [&](std::size_t rows, std::size_t keys, std::size_t gap, std::mt19937_64& engine) {
    HalfSoftmax state(rows);
    for (double deviation : {1.0, 30.0, 3.0, 1e15, 1e37}) {
      Matrix scores(rows, keys, gap);
      scores.fill_rows(engine, deviation);
      check_half_rows_alone(table, scores, findings);
      check_half_block(table, state, scores, findings);
      const NotFinite data;
      scores.at(rows / 2, keys - 1) = kNonFinite[keys % 3];
      check_half_rows_alone(table, scores, findings);
    }
  });
}

}  // namespace edgeattn::test
