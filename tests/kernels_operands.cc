// Checkers of the kernels that make and read operands: statistics, pack, unpack_rows, fold, transpose.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "kernel_checker.h"
#include "support.h"

namespace edgeattn::test {
namespace {

struct Image {
  Image(std::size_t token_count, std::size_t channel_count, bool nchw, std::size_t gap = 0)
      : tokens(token_count),
        channels(channel_count),
        token_stride(nchw ? 1 : channels + gap),
        channel_stride(nchw ? tokens + gap : 1),
        x((nchw ? channels : tokens) * (nchw ? channel_stride : token_stride) - gap) {}

  float& at(std::size_t t, std::size_t c) { return x[t * token_stride + c * channel_stride]; }
  std::string text() const {
    return std::to_string(tokens) + " tokens, " + std::to_string(channels) + " channels" +
           (token_stride == 1 ? ", NCHW" : ", NHWC");
  }

  std::size_t tokens;
  std::size_t channels;
  std::size_t token_stride;
  std::size_t channel_stride;
  Buffer x;
};

void fill(Image& image, std::mt19937_64& engine, double mean, double deviation) {
  std::normal_distribution<double> normal(mean, deviation);
  for (std::size_t c = 0; c < image.channels; ++c)
    for (std::size_t t = 0; t < image.tokens; ++t) image.at(t, c) = static_cast<float>(normal(engine));
}

/// The sums of every channel, behind each other.
struct Sums {
  explicit Sums(std::size_t channels) : values(2 * channels) {}
  ShiftedSums operator[](std::size_t c) const { return {values[2 * c], values[2 * c + 1]}; }

  Guarded<double> values;
};

void add_up(const Kernels& kernels, Image& image, Sums& sums) {
  kernels.statistics(image.x.data(), image.x.data(), image.tokens, image.channels, image.token_stride,
                     image.channel_stride, reinterpret_cast<ShiftedSums*>(sums.values.data()));
}

void check_sums(const Kernels& kernels, Image& image, Findings& findings) {
  Sums sums(image.channels);
  add_up(kernels, image, sums);
  for (std::size_t c = 0; c < image.channels; ++c) {
    const long double pivot = image.at(0, c);
    long double sum = 0, magnitude = 0, squares = 0;
    for (std::size_t t = 0; t < image.tokens; ++t) {
      const long double deviation = image.at(t, c) - pivot;
      sum += deviation;
      magnitude += std::abs(deviation);
      squares += deviation * deviation;
    }
    const long double bound = std::ldexp(static_cast<long double>(image.tokens), -52);
    findings.require(std::abs(sums[c].sum - sum) <= bound * magnitude, [&] { return "sum, " + image.text(); });
    findings.require(std::abs(sums[c].sum_of_squares - squares) <= bound * squares,
                     [&] { return "sum of squares, " + image.text(); });
    findings.add(sums[c].sum, static_cast<double>(bound * magnitude));
    findings.add(sums[c].sum_of_squares, static_cast<double>(bound * squares));
  }
  findings.require(sums.values.margins_intact(), [&] { return "wrote outside the sums, " + image.text(); });
}

void check_non_finite_sums(const Kernels& kernels, bool nchw, Findings& findings) {
  const NotFinite data;
  Image image(37, 5, nchw);
  std::mt19937_64 engine = random_engine(12);
  fill(image, engine, 0, 3e38);
  constexpr float kLargest = std::numeric_limits<float>::max();
  for (std::size_t i = 0; i < image.x.size(); ++i) image.x[i] = std::clamp(image.x[i], -kLargest, kLargest);
  for (std::size_t t = 0; t < image.tokens; ++t) {
    for (std::size_t c = 0; c < image.channels; ++c) {
      for (float bad : kNonFinite) {
        const float good = std::exchange(image.at(t, c), bad);
        Sums sums(image.channels);
        add_up(kernels, image, sums);
        for (std::size_t other = 0; other < image.channels; ++other)
          findings.require(std::isfinite(sums[other].sum_of_squares) == (other != c), [&] {
            return "non-finite value at token " + std::to_string(t) + ", channel " + std::to_string(c) + ", " +
                   image.text();
          });
        image.at(t, c) = good;
      }
    }
  }
}

/// An operand of which one strip is written, and what it should hold afterwards.
struct Operand {
  explicit Operand(const PanelLayout& panel_layout)
      : layout(panel_layout), actual(layout.size(), 64), expected(layout.size(), 64) {}

  Panels panels() { return {actual.data(), layout.nr, layout.panel_stride(), layout.kr, layout.sr}; }

  PanelLayout layout;
  Buffer actual;
  Buffer expected;
};

struct Columns {
  std::uint32_t nr;
  std::uint32_t kr = 1;
  std::uint32_t sr = 1;
};

std::size_t round_up(std::size_t count, std::size_t unit) { return (count + unit - 1) / unit * unit; }

struct PackCase {
  Image& image;
  Buffer& norm;  ///< [3, channels]: mean, scale, shift
  Columns key_columns;
  Columns value_columns;
  std::size_t first_token;

  std::size_t keys() const { return first_token + image.tokens; }
  std::string text() const {
    return image.text() + ", keys.nr " + std::to_string(key_columns.nr) + ", values.nr " +
           std::to_string(value_columns.nr) + ", kr " + std::to_string(key_columns.kr) + ", sr " +
           std::to_string(key_columns.sr) + ", first token " + std::to_string(first_token);
  }
  float normalised(std::size_t t, std::size_t c) const {
    if (t >= image.tokens || c >= image.channels) return 0;
    const std::size_t channels = image.channels;
    return std::fma(image.at(t, c) - norm[c], norm[channels + c], norm[2 * channels + c]);
  }
};

/// The contract of pack_fn and pack_any_scalar, element by element.
void expect_packed(const PackCase& test, Operand& keys, Operand& values) {
  const std::size_t first = test.first_token;
  for (std::size_t t = 0; t < round_up(test.image.tokens, keys.layout.nr); ++t) {
    keys.expected[keys.layout.bias_offset(first + t)] = 0;
    for (std::size_t c = 0; c < keys.layout.depth(); ++c)
      keys.expected[keys.layout.offset(c, first + t)] = test.normalised(t, c);
  }
  for (std::size_t c = 0; c < values.layout.panels() * values.layout.nr; ++c) {
    if (first == 0) values.expected[values.layout.bias_offset(c)] = 0;
    for (std::size_t t = first; t < values.layout.depth(); ++t)
      values.expected[values.layout.offset(t, c)] = test.normalised(t - first, c);
  }
}

void check_packed(pack_fn* pack, const PackCase& test, bool with_keys, bool with_values, Findings& findings) {
  const Image& image = test.image;
  Operand keys({image.channels, test.keys(), test.key_columns.nr, test.key_columns.kr, test.key_columns.sr});
  Operand values({test.keys(), image.channels, test.value_columns.nr, test.value_columns.kr, test.value_columns.sr});
  expect_packed(test, keys, values);
  Buffer& norm = test.norm;
  PackStrip strip = {};
  strip.x = test.image.x.data();
  strip.token_stride = image.token_stride;
  strip.channel_stride = image.channel_stride;
  strip.tokens = image.tokens;
  strip.first_token = test.first_token;
  strip.channels = image.channels;
  strip.mean = norm.data();
  strip.scale = norm.data() + image.channels;
  strip.shift = norm.data() + 2 * image.channels;
  if (with_keys) strip.keys = keys.panels();
  if (with_values) strip.values = values.panels();
  pack(strip);
  if (with_keys) findings.require_same(keys.actual, keys.expected, [&] { return "keys, " + test.text(); });
  if (with_values) findings.require_same(values.actual, values.expected, [&] { return "values, " + test.text(); });
}

/// With both operands, and with each of them left out.
void check_packed(pack_fn* pack, const PackCase& test, Findings& findings) {
  check_packed(pack, test, true, true, findings);
  check_packed(pack, test, true, false, findings);
  check_packed(pack, test, false, true, findings);
}

template <class Body>
void for_images(std::uint64_t stream, Body body) {
  std::mt19937_64 engine = random_engine(stream);
  for_sizes([&](std::size_t tokens, std::size_t channels) {
    for (bool nchw : {true, false}) {
      Image image(tokens, channels, nchw, tokens % 3);
      fill(image, engine, 3, 1);
      Buffer norm(3 * channels);
      for (std::size_t i = 0; i < norm.size(); ++i) norm[i] = static_cast<float>(i % 7) * 0.37f - 1.1f;
      body(image, norm);
    }
  });
}

void check_unpacked(unpack_rows_fn* unpack_rows, const PanelLayout& layout, std::size_t first, std::size_t rows,
                    Findings& findings) {
  const std::size_t channels = layout.outputs;
  const std::size_t stride = channels + rows % 3;
  Operand operand(layout);
  Buffer actual((rows - 1) * stride + channels);
  Buffer expected(actual.size());
  for (std::size_t i = 0; i < operand.actual.size(); ++i) operand.actual[i] = static_cast<float>(i);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t c = 0; c < channels; ++c)
      expected[i * stride + c] = static_cast<float>(layout.offset(first + i, c));
  unpack_rows(operand.panels(), first, rows, channels, actual.data(), stride);
  findings.require_same(actual, expected, [&] {
    return std::to_string(rows) + " rows, " + std::to_string(channels) + " channels, nr " + std::to_string(layout.nr) +
           ", kr " + std::to_string(layout.kr) + ", sr " + std::to_string(layout.sr);
  });
}

/// How the left operand of `fold` lies: its rows behind each other, or its terms.
enum class Behind : std::uint8_t { kRows, kTerms };

void check_folded(const Kernels& kernels, std::size_t rows, std::size_t columns, std::size_t terms, Behind behind,
                  Findings& findings) {
  std::mt19937_64 engine = random_engine(rows * 1000 + columns);
  std::normal_distribution<double> normal;
  const bool by_rows = behind == Behind::kRows;
  const std::size_t gap = terms % 3;
  const std::size_t left_row = by_rows ? terms + gap : 1;
  const std::size_t left_term = by_rows ? 1 : rows + gap;
  const std::size_t right_term = columns + terms % 2;
  Buffer left((rows - 1) * left_row + (terms - 1) * left_term + 1);
  Buffer right((terms - 1) * right_term + columns);
  for (std::size_t i = 0; i < left.size(); ++i) left[i] = static_cast<float>(normal(engine));
  for (std::size_t i = 0; i < right.size(); ++i) right[i] = static_cast<float>(normal(engine));
  Guarded<double> sums(kFoldRows * kFoldColumns, 64), factors(kFoldTerms * (kFoldRows + kFoldColumns), 64);
  kernels.fold({left.data(), left_row, left_term, right.data(), right_term, rows, columns, terms, sums.data(), factors.data()});
  const auto text = [&] {
    return std::to_string(rows) + " rows, " + std::to_string(columns) + " columns, " + std::to_string(terms) + " terms" +
           (by_rows ? "" : ", transposed");
  };
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      double sum = 0;
      long double exact = 0, magnitude = 0;
      for (std::size_t k = 0; k < terms; ++k) {
        const double product =
            static_cast<double>(left[i * left_row + k * left_term]) * static_cast<double>(right[k * right_term + j]);
        sum += product;
        exact += product;
        magnitude += std::abs(product);
      }
      const double result = sums[i * kFoldColumns + j];
      findings.require(result == sum, text);
      findings.require(std::abs(result - exact) <= std::ldexp(static_cast<long double>(terms), -53) * magnitude, text);
      findings.add(result);
    }
  }
  findings.require(sums.margins_intact() && factors.margins_intact(), [&] { return "wrote outside, " + text(); });
}

/// Bits that no arithmetic would leave as they are: denormals, signalling NaNs and others.
void check_transposed(const Kernels& kernels, std::size_t rows, std::size_t columns, std::size_t in_gap, std::size_t out_gap,
                      Findings& findings) {
  const std::size_t in_stride = columns + in_gap, out_stride = rows + out_gap;
  Buffer in((rows - 1) * in_stride + columns);
  Buffer actual((columns - 1) * out_stride + rows);
  Buffer expected(actual.size());
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      const auto mark = static_cast<std::uint32_t>((r * columns + c + 1) * 0x9E3779B1u);
      std::memcpy(&in[r * in_stride + c], &mark, sizeof mark);
      std::memcpy(&expected[c * out_stride + r], &mark, sizeof mark);
    }
  }
  kernels.transpose(in.data(), in_stride, actual.data(), out_stride, rows, columns);
  const auto text = [&] {
    return std::to_string(rows) + " rows, " + std::to_string(columns) + " columns, gaps " + std::to_string(in_gap) + " and " +
           std::to_string(out_gap);
  };
  findings.require_same(actual, expected, text);
  findings.require(actual.size() == 0 || std::memcmp(actual.data(), expected.data(), actual.size() * sizeof(float)) == 0, text);
}

}  // namespace

void check_statistics(const Kernels& kernels, Findings& findings) {
  constexpr double kMeans[] = {0.0, 1e4, 1e6};
  std::mt19937_64 engine = random_engine(11);
  std::size_t turn = 0;
  for_sizes([&](std::size_t tokens, std::size_t channels) {
    for (bool nchw : {true, false}) {
      Image image(tokens, channels, nchw, channels % 2);
      fill(image, engine, kMeans[turn++ % std::size(kMeans)], 1);
      check_sums(kernels, image, findings);
    }
  });
  for (bool nchw : {true, false}) check_non_finite_sums(kernels, nchw, findings);
}

void check_pack(const Kernels& kernels, Findings& findings) {
  constexpr std::size_t kFirstToken = 96;  // a multiple of every nr below
  constexpr std::uint32_t kWidths[][2] = {{16, 16}, {8, 8}, {32, 32}, {8, 32}, {32, 16}, {24, 8}, {16, 24}};
  std::size_t turn = 0;
  for_images(13, [&](Image& image, Buffer& norm) {
    const auto& [keys, values] = kWidths[turn % std::size(kWidths)];
    check_packed(kernels.pack, {image, norm, {keys}, {values}, turn++ % 2 * kFirstToken}, findings);
  });
  // Large numbers of small deviations, which lanes without them would exceed float with.
  constexpr float kLarge = 1e20f;
  for (std::size_t tokens = 1; tokens <= kEveryTail; ++tokens) {
    for (bool nchw : {true, false}) {
      Image image(tokens, tokens % 7 + 3, nchw, 1);
      std::fill_n(image.x.data(), image.x.size(), kLarge);
      Buffer norm(3 * image.channels);
      for (std::size_t i = 0; i < norm.size(); ++i) norm[i] = i < 2 * image.channels ? kLarge : 0.5f;
      check_packed(kernels.pack, {image, norm, {16}, {16}, 0}, findings);
    }
  }
}

void check_unpack_rows(const Kernels& kernels, Findings& findings) {
  for (std::uint32_t nr : {1u, 2u, 7u, 8u, 16u, 24u, 32u})
    for (std::size_t channels = 1; channels <= 2 * kEveryTail; ++channels)
      for (std::size_t rows : {1u, 2u, 3u, 17u}) check_unpacked(kernels.unpack_rows, {40, channels, nr}, 23 - rows, rows, findings);
}

void check_any_layout(const Kernels&, Findings& findings) {
  constexpr std::size_t kFirstToken = 96;
  constexpr Columns kColumns[] = {{8, 1, 4}, {4, 1, 4}, {2, 4, 1}, {16, 2, 1},
                                  {8, 2, 4}, {1, 1, 1}, {6, 1, 1}, {16, 1, 1}};
  std::size_t turn = 0;
  for_images(14, [&](Image& image, Buffer& norm) {
    const Columns columns = kColumns[turn++ % std::size(kColumns)];
    check_packed(pack_any_scalar, {image, norm, columns, columns, turn % 3 == 0 ? kFirstToken : 0}, findings);
  });
  for (const Columns& columns : kColumns)
    for (std::size_t channels = 1; channels <= kEveryTail; ++channels)
      for (std::size_t rows : {1u, 2u, 17u})
        check_unpacked(unpack_rows_any_scalar, {38, channels, columns.nr, columns.kr, columns.sr}, 3, rows, findings);
}

void check_fold(const Kernels& kernels, Findings& findings) {
  for (std::size_t rows = 1; rows <= kFoldRows; ++rows)
    for (std::size_t columns = 1; columns <= kFoldColumns; ++columns)
      for (std::size_t terms : {1u, 2u, 7u, 15u, 16u, 17u, 33u, 63u})
        for (const Behind behind : {Behind::kRows, Behind::kTerms})
          if (!sample() || (rows + columns) % 8 == terms % 8) check_folded(kernels, rows, columns, terms, behind, findings);
}

void check_transpose(const Kernels& kernels, Findings& findings) {
  for_sizes([&](std::size_t rows, std::size_t columns) {
    check_transposed(kernels, rows, columns, columns % 3, rows % 4, findings);
  });
  for (const auto& [rows, columns] : {std::pair<std::size_t, std::size_t>{3, 300}, {300, 3}, {130, 260}, {273, 144}})
    for (std::size_t gap : {0u, 5u}) check_transposed(kernels, rows, columns, gap, gap, findings);
  // Large enough to bypass the caches, with rows of whole lines and without.
  for (const auto& [rows, columns] : {std::pair<std::size_t, std::size_t>{1008, 1043}, {1007, 1043}})
    check_transposed(kernels, rows, columns, 1, 16 - rows % 16, findings);
  check_transposed(kernels, 1009, 1043, 0, 0, findings);
}

}  // namespace edgeattn::test
