// Checkers of the kernels that work on a query tile: exp2, softmax, accumulate, normalize_rows, poison_rows,
// add_residual.

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <utility>
#include <vector>

#include "kernel_checker.h"
#include "matrices.h"
#include "support.h"

namespace edgeattn::test {
namespace {

void fill(Buffer& buffer, std::mt19937_64& engine, double mean = 0, double deviation = 1) {
  std::normal_distribution<double> normal(mean, deviation);
  for (std::size_t i = 0; i < buffer.size(); ++i) buffer[i] = static_cast<float>(normal(engine));
}

struct Softmax {
  explicit Softmax(std::size_t rows) : max(rows), sum(rows), rescale(rows) {
    for (std::size_t i = 0; i < rows; ++i) {
      max[i] = -kInf;
      sum[i] = 0;
    }
  }
  void add(const Kernels& kernels, Matrix& scores) {
    kernels.softmax(scores.values.data(), scores.rows, scores.columns, scores.stride, max.data(), sum.data(),
                    rescale.data());
  }

  Buffer max;
  Buffer sum;
  Buffer rescale;
  double relative_bound = 0;  ///< of the sums so far
};

/// One more key block, against the formula row by row. Sums may err by half an ULP for every addition.
void check_block(const Kernels& kernels, Softmax& state, Matrix& scores, Findings& findings) {
  Matrix before(scores.rows, scores.columns, scores.stride - scores.columns);
  before.values.copy(scores.values);
  Buffer max_before(scores.rows), sum_before(scores.rows);
  max_before.copy(state.max);
  sum_before.copy(state.sum);
  state.add(kernels, scores);
  const double relative = static_cast<double>(scores.columns + 2) * 0x1p-24 + 2 * kExp2Ulp * 0x1p-23;
  for (std::size_t i = 0; i < scores.rows; ++i) {
    float max = max_before[i];
    for (std::size_t j = 0; j < scores.columns; ++j) max = std::max(max, before.at(i, j));
    findings.require(state.max[i] == max, [&] { return "max, " + scores.text(); });
    const bool first = max_before[i] == -kInf;
    findings.require(first ? bits_of(state.rescale[i]) == 0 : is_power(state.rescale[i], max_before[i] - max),
                     [&] { return "rescale, " + scores.text(); });
    double total = static_cast<double>(sum_before[i]) * static_cast<double>(state.rescale[i]);
    for (std::size_t j = 0; j < scores.columns; ++j) {
      findings.require(is_power(scores.at(i, j), before.at(i, j) - max), [&] { return "weight, " + scores.text(); });
      findings.add(scores.at(i, j), power_bound(scores.at(i, j)));
      total += static_cast<double>(scores.at(i, j));
      before.at(i, j) = scores.at(i, j);
    }
    const double bound = static_cast<double>(scores.columns + 2) * 0x1p-24 * total;
    findings.require(std::abs(static_cast<double>(state.sum[i]) - total) <= bound,
                     [&] { return "sum, " + scores.text(); });
    findings.add(state.max[i], 0);
    findings.add(state.rescale[i], power_bound(state.rescale[i]));
    // Every term is positive, so that relative errors of weights, rescaling and sums just add up.
    findings.add(state.sum[i], (state.relative_bound + relative) * total);
  }
  state.relative_bound += relative;
  findings.require_same(scores.values, before.values, [&] { return "between rows, " + scores.text(); });
  for (const Buffer* buffer : {&state.max, &state.sum, &state.rescale})
    findings.require(buffer->margins_intact(), [&] { return "row results, " + scores.text(); });
}

/// A row gets the same bits whichever rows stand around it.
void check_rows_alone(const Kernels& kernels, Matrix& original, Findings& findings) {
  Matrix together(original.rows, original.columns, original.stride - original.columns);
  together.values.copy(original.values);
  Softmax all(original.rows);
  all.add(kernels, together);
  for (std::size_t i = 0; i < original.rows; ++i) {
    Matrix row(1, original.columns, 0);
    for (std::size_t j = 0; j < row.columns; ++j) row.at(0, j) = original.at(i, j);
    Softmax one(1);
    one.add(kernels, row);
    bool equal = same(one.sum[0], all.sum[i]) && same(one.max[0], all.max[i]) && same(one.rescale[0], all.rescale[i]);
    for (std::size_t j = 0; j < row.columns; ++j) equal = equal && same(row.at(0, j), together.at(i, j));
    findings.require(equal, [&] { return "a row alone differs from the row in a tile, " + original.text(); });
  }
}

void check_non_finite_scores(const Kernels& kernels, std::size_t keys, std::size_t later_keys, Findings& findings) {
  constexpr std::size_t kRows = 5;
  std::mt19937_64 engine = random_engine(keys);
  Matrix clean(kRows, keys, 2), later(kRows, later_keys, 0), scores(kRows, keys, 2), more(kRows, later_keys, 0);
  clean.fill_rows(engine, 3);
  later.fill_rows(engine, 3);
  const auto sums_with = [&](auto spoil) {
    scores.values.copy(clean.values);
    spoil(scores);
    more.values.copy(later.values);
    Softmax state(kRows);
    const NotFinite data;
    state.add(kernels, scores);
    for (std::size_t i = 0; i < kRows; ++i)
      findings.require(bits_of(state.rescale[i]) == 0, [&] { return "first rescale, " + clean.text(); });
    std::vector<float> sums(state.sum.data(), state.sum.data() + kRows);
    state.add(kernels, more);
    sums.insert(sums.end(), state.sum.data(), state.sum.data() + kRows);
    return sums;
  };
  const std::vector<float> expected = sums_with([](Matrix&) {});
  const auto require_only = [&](std::size_t row, const std::vector<float>& sums) {
    for (std::size_t i = 0; i < 2 * kRows; ++i)
      findings.require(i % kRows == row ? std::isnan(sums[i]) : same(sums[i], expected[i]),
                       [&] { return "non-finite score in row " + std::to_string(row) + ", " + clean.text(); });
  };
  for (std::size_t row = 0; row < kRows; ++row) {
    for (float bad : kNonFinite) {
      for (std::size_t j = 0; j < keys; ++j) require_only(row, sums_with([&](Matrix& m) { m.at(row, j) = bad; }));
      require_only(row, sums_with([&](Matrix& m) { std::fill_n(&m.at(row, 0), keys, bad); }));
    }
  }
}

std::vector<float> hostile_factors() { return {0.0f, 1.0f, 0.3f, 0x1p-20f, 0.999999f, 0x1p-126f, 0.5f, 0.0f, 0.7f}; }

void check_residual(const Kernels& kernels, std::size_t tokens, std::size_t channels, bool nchw, bool in_place,
                    bool residual, float factor, std::mt19937_64& engine, Findings& findings) {
  const std::size_t gap = channels % 3;
  Matrix tile(tokens, channels, tokens % 2);
  tile.fill_rows(engine, 1);
  Matrix x(nchw ? channels : tokens, nchw ? tokens : channels, gap);
  x.fill_rows(engine, 1);
  Matrix y(x.rows, x.columns, gap), expected(x.rows, x.columns, gap);
  if (in_place) y.values.copy(x.values);
  Buffer poison(tokens);
  for (std::size_t t = 0; t < tokens; ++t) poison[t] = t % 5 == 3 ? kNan : 0.0f;
  const auto at = [&](Matrix& m, std::size_t t, std::size_t c) -> float& { return nchw ? m.at(c, t) : m.at(t, c); };
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t c = 0; c < channels; ++c) {
      const float value = tile.at(t, c) + poison[t];
      at(expected, t, c) = (residual ? at(x, t, c) + value : value) * factor;
    }
  }
  OutputTile output = {};
  output.tile = tile.values.data();
  output.stride = tile.stride;
  output.poison = poison.data();
  output.y = y.values.data();
  if (residual) output.x = in_place ? y.values.data() : x.values.data();
  output.token_stride = nchw ? 1 : x.stride;
  output.channel_stride = nchw ? x.stride : 1;
  output.tokens = tokens;
  output.channels = channels;
  output.factor = factor;
  kernels.add_residual(output);
  findings.require_same(y.values, expected.values, [&] {
    return std::to_string(tokens) + " tokens, " + std::to_string(channels) + " channels" +
           (nchw ? ", NCHW" : ", NHWC") + (in_place ? ", in place" : "") + (residual ? "" : ", no residual") + ", factor " +
           std::to_string(factor);
  });
}

}  // namespace

void check_exp2(const Kernels& kernels, Findings& findings) {
  std::mt19937_64 engine = random_engine(21);
  std::uniform_real_distribution<float> uniform(-127.0f, 0.0f);
  for (std::size_t count = 1; count <= 4 * kMostLanes + 1; ++count) {
    Buffer x(count), out(count), expected(count);
    for (std::size_t i = 0; i < count; ++i) x[i] = uniform(engine);
    constexpr float kSpecial[] = {0.0f, -0.0f, -126.0f, -126.00001f, -kInf, kNan, -0.5f, -1e30f, -1e14f, -128.0f, -200.0f, -3e38f};
    x[count - 1] = kSpecial[count % std::size(kSpecial)];
    const NotFinite data(std::isnan(x[count - 1]));
    kernels.exp2(x.data(), out.data(), count);
    for (std::size_t i = 0; i < count; ++i) {
      const bool good = std::isnan(x[i]) ? std::isnan(out[i]) : is_power(out[i], x[i]);
      findings.require(good, [&] { return "2^" + std::to_string(x[i]) + " is " + std::to_string(out[i]); });
      findings.add(out[i], power_bound(out[i]));
      expected[i] = out[i];
    }
    kernels.exp2(x.data(), x.data(), count);
    findings.require_same(x, expected, [&] { return "in place, " + std::to_string(count) + " values"; });
    findings.require(out.margins_intact(), [&] { return "wrote outside, " + std::to_string(count) + " values"; });
  }
}

void check_softmax(const Kernels& kernels, Findings& findings) {
  for_matrices(22, [&](std::size_t rows, std::size_t keys, std::size_t gap, std::mt19937_64& engine) {
    Softmax state(rows);
    for (double deviation : {1.0, 30.0, 3.0, 1e15, 1e37}) {
      Matrix scores(rows, keys, gap);
      scores.fill_rows(engine, deviation);
      check_rows_alone(kernels, scores, findings);
      check_block(kernels, state, scores, findings);
    }
  });
  for (std::size_t keys : {1u, 2u, 7u, 8u, 9u, 16u, 17u, 33u, 48u}) check_non_finite_scores(kernels, keys, 5, findings);
}

void check_accumulate(const Kernels& kernels, Findings& findings) {
  for_matrices(23, [&](std::size_t rows, std::size_t channels, std::size_t gap, std::mt19937_64& engine) {
    Matrix acc(rows, channels, gap), mixed(rows, channels, gap), expected(rows, channels, gap);
    Matrix rounded_twice(rows, channels, gap);
    acc.fill_rows(engine, 1);
    mixed.fill_rows(engine, channels % 2 == 0 ? 1 : 1e-5);
    Buffer rescale(rows);
    for (std::size_t i = 0; i < rows; ++i) {
      rescale[i] = hostile_factors()[(i + channels) % hostile_factors().size()];
      if (rescale[i] == 0 && channels % 2 == 0) std::fill_n(&acc.at(i, 0), channels, kNan);
      for (std::size_t c = 0; c < channels; ++c) {
        const float product = acc.at(i, c) * rescale[i];
        expected.at(i, c) = rescale[i] == 0 ? mixed.at(i, c) : std::fma(acc.at(i, c), rescale[i], mixed.at(i, c));
        rounded_twice.at(i, c) = rescale[i] == 0 ? mixed.at(i, c) : product + mixed.at(i, c);
      }
    }
    kernels.accumulate(acc.values.data(), mixed.values.data(), rescale.data(), rows, channels, acc.stride);
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t c = 0; c < channels; ++c) {
        if (same(acc.at(i, c), rounded_twice.at(i, c))) expected.at(i, c) = rounded_twice.at(i, c);
        findings.add(acc.at(i, c), std::abs(static_cast<double>(expected.at(i, c) - rounded_twice.at(i, c))));
      }
    }
    findings.require_same(acc.values, expected.values, [&] { return acc.text(); });
  });
}

void check_normalize_rows(const Kernels& kernels, Findings& findings) {
  for_matrices(24, [&](std::size_t rows, std::size_t channels, std::size_t gap, std::mt19937_64& engine) {
    Matrix acc(rows, channels, gap), expected(rows, channels, gap);
    acc.fill_rows(engine, 1);
    Buffer sum(rows);
    fill(sum, engine, 100, 10);
    sum[(channels * 3) % rows] = channels % 2 == 0 ? kNan : 1.0f;
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t c = 0; c < channels; ++c) expected.at(i, c) = acc.at(i, c) * (1.0f / sum[i]);
    kernels.normalize_rows(acc.values.data(), sum.data(), rows, channels, acc.stride);
    findings.require_same(acc.values, expected.values, [&] { return acc.text(); });
  });
}

void check_poison_rows(const Kernels& kernels, Findings& findings) {
  for_matrices(25, [&](std::size_t rows, std::size_t channels, std::size_t gap, std::mt19937_64& engine) {
    Matrix y(rows, channels, gap);
    y.fill_rows(engine, 1);
    y.at(rows - 1, channels / 2) = std::numeric_limits<float>::max();
    y.at(0, channels - 1) = -std::numeric_limits<float>::max();
    Buffer poison(rows), expected(rows);
    const auto check = [&] {
      kernels.poison_rows(y.values.data(), rows, channels, y.stride, poison.data());
      findings.require_same(poison, expected, [&] { return y.text(); });
    };
    for (std::size_t i = 0; i < rows; ++i) expected[i] = 0;
    check();
    const NotFinite data;
    for (std::size_t c = 0; c < channels; ++c) {
      const std::size_t row = c % rows;
      const float good = std::exchange(y.at(row, c), kNonFinite[(c + rows) % 3]);
      expected[row] = kNan;
      check();
      y.at(row, c) = good;
      expected[row] = 0;
    }
  });
}

void check_add_residual(const Kernels& kernels, Findings& findings) {
  std::mt19937_64 engine = random_engine(26);
  std::size_t turn = 0;
  for_sizes([&](std::size_t tokens, std::size_t channels) {
    for (bool nchw : {true, false})
      for (const auto& [in_place, residual] : {std::pair{false, true}, {true, true}, {false, false}})
        check_residual(kernels, tokens, channels, nchw, in_place, residual, turn++ % 5 == 0 ? 0.7071067f : 1.0f, engine, findings);
  });
}

}  // namespace edgeattn::test
