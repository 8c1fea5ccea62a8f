#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "cli/check_writable.h"
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/feature_map.h"
#include "cli/heat_map.h"
#include "cli/places.h"
#include "cli/png.h"
#include "cli/text.h"
#include "cli/untold.h"
#include "edgeattn/io.h"

namespace edgeattn::cli {
namespace {

bool is_picture(const std::string& output) {
  const std::filesystem::path extension = std::filesystem::path(output).extension();
  return extension == ".png" || extension == ".PNG";
}

/// The maps of one pixel, and what to say of them.
struct Attention {
  const io::BlockWeights& weights;
  Shape shape;
  Layout layout;
  io::AttentionQuery query;
  std::vector<double> maps;  ///< [heads, H, W]

  [[nodiscard]] std::span<const double> map(std::size_t head) const {
    return std::span(maps).subspan(head * shape.tokens(), shape.tokens());
  }
};

struct Summary {
  double min, max, sum;
  std::size_t max_row, max_column;
  double entropy_bits = 0;  ///< log2(H·W) if all weights are the same, 0 if one is 1
};

Summary summary_of(const Attention& attention, std::size_t head) {
  const std::span<const double> map = attention.map(head);
  const auto [min, max] = std::minmax_element(map.begin(), map.end());
  const auto place = static_cast<std::size_t>(max - map.begin());
  Summary summary{.min = *min,
                  .max = *max,
                  .sum = std::accumulate(map.begin(), map.end(), 0.0),
                  .max_row = place / attention.shape.width,
                  .max_column = place % attention.shape.width};
  for (const double weight : map)
    if (weight > 0) summary.entropy_bits -= weight * std::log2(weight);
  return summary;
}

std::string json_report(const Attention& attention) {
  const Shape& shape = attention.shape;
  nlohmann::ordered_json heads = nlohmann::ordered_json::array();
  for (std::size_t head = 0; head < attention.weights.spec.heads; ++head) {
    const Summary summary = summary_of(attention, head);
    heads.push_back({{"min", summary.min},
                     {"max", summary.max},
                     {"max_pixel", {summary.max_row, summary.max_column}},
                     {"sum", summary.sum},
                     {"entropy_bits", summary.entropy_bits}});
  }
  const nlohmann::ordered_json object = {
      {"shape", {shape.batch, attention.weights.spec.channels, shape.height, shape.width}},
      {"layout", to_string(attention.layout)},
      {"image", attention.query.image},
      {"pixel", {attention.query.row, attention.query.column}},
      {"heads", heads},
      {"assumed", nlohmann::ordered_json::parse(assumed_json(attention.weights.assumed, attention.weights.spec))},
  };
  return object.dump() + "\n";
}

std::string text_report(const Attention& attention, const std::string& output) {
  const auto pixel = [](std::size_t row, std::size_t column) { return std::to_string(row) + "," + std::to_string(column); };
  const Shape& shape = attention.shape;
  std::string text = "block   " + describe(attention.weights) + "\n";
  text += "pixel   " + pixel(attention.query.row, attention.query.column) + " of " + std::to_string(shape.height) + " x " +
          std::to_string(shape.width) + ", image " + std::to_string(attention.query.image) + " of a batch of " +
          std::to_string(shape.batch) + "\n";
  const std::string most_bits = significant(std::log2(static_cast<double>(shape.tokens())), 4);
  for (std::size_t head = 0; head < attention.weights.spec.heads; ++head) {
    const Summary summary = summary_of(attention, head);
    const std::string name = "head " + std::to_string(head);
    text += name + std::string(name.size() < 7 ? 8 - name.size() : 1, ' ') + "weights from " + significant(summary.min, 3) +
            " to " + significant(summary.max, 3) + ", at pixel " + pixel(summary.max_row, summary.max_column) + "; entropy " +
            significant(summary.entropy_bits, 4) + " of " + most_bits + " bits\n";
  }
  return text + "output  " + output + "\n";
}

void write_picture(const Attention& attention, const std::string& output) {
  const IndexedPicture picture = draw({.values = attention.maps,
                                       .count = attention.weights.spec.heads,
                                       .height = attention.shape.height,
                                       .width = attention.shape.width,
                                       .row = attention.query.row,
                                       .column = attention.query.column});
  check(io::write_text(target_of(output), encode_png(picture, output)));
}

void write_weights(const Attention& attention, const std::string& output) {
  const std::vector<float> values(attention.maps.begin(), attention.maps.end());
  const std::vector<std::size_t> shape = {attention.weights.spec.heads, attention.shape.height, attention.shape.width};
  check(io::write_safetensors(target_of(output), "attention", shape, values));
}

}  // namespace

std::string attention_map_command(const RunOptions& options) {
  const auto [row, column] = *options.attention_map;
  const bool picture = is_picture(*options.output);
  if (picture) require_png(*options.output);
  const io::BlockWeights weights = read_weights(options);
  const FeatureMap input = read_feature_map(options.input, options.tensor, "--tensor");
  const Layout layout = options.layout;
  Attention attention{.weights = weights,
                      .shape = shape_of(input, layout, weights.spec.channels),
                      .layout = layout,
                      .query = {.image = options.attention_image, .row = row, .column = column},
                      .maps = {}};
  check_writable(*options.output);

  check(io::attention_map(weights, attention.shape, layout, input.values, attention.query, attention.maps),
        input.source + ": ");
  if (picture) write_picture(attention, *options.output);
  else write_weights(attention, *options.output);
  return options.json ? json_report(attention) : text_report(attention, *options.output);
}

}  // namespace edgeattn::cli
