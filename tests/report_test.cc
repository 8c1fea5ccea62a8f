#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "edgeattn/io.h"
#include "io/duration.h"

namespace edgeattn::test {
namespace {

constexpr std::size_t kMega = std::size_t{1} << 20;

/// A made-up plan with regions of every kind: large and tiny, shared and per slot, on each other's bytes, and a name that XML
/// would trip over.
Plan made_up_plan(std::size_t threads, std::size_t slot_bytes) {
  Plan plan;
  plan.spec.channels = 512;
  plan.shape = {.batch = 1, .height = 64, .width = 64};
  plan.threads = threads;
  plan.query_tile = 252;
  plan.key_block = 512;
  const auto shared = [&](const char* name, Space space, std::size_t offset, std::size_t bytes, Phase first, Phase last) {
    plan.shared_regions[plan.shared_region_count++] = {name, space, Region::kShared, offset, bytes, first, last};
  };
  const auto slot = [&](const char* name, std::size_t offset, std::size_t bytes, Phase first, Phase last) {
    plan.slot_regions[plan.slot_region_count++] = {name, Space::kScratch, 0, 16 * kMega + offset, bytes, first, last};
  };
  shared("weights", Space::kPrepared, 0, 2 * kMega, Phase::kBind, Phase::kTranspose);
  shared("<a&\"b\">", Space::kPrepared, 2 * kMega, 64, Phase::kBind, Phase::kTranspose);
  shared("operators", Space::kPersistent, 0, 21120, Phase::kBind, Phase::kTranspose);
  shared("keys", Space::kScratch, 0, 8 * kMega, Phase::kPack, Phase::kMix);
  shared("values", Space::kScratch, 8 * kMega, 8 * kMega, Phase::kPack, Phase::kMix);
  shared("work", Space::kScratch, 0, kMega, Phase::kBind, Phase::kBind);
  slot("scores", 0, slot_bytes / 2, Phase::kScores, Phase::kMix);
  slot("output", 0, slot_bytes / 2, Phase::kOut, Phase::kTranspose);
  slot("mixed", slot_bytes / 2, slot_bytes - slot_bytes / 2, Phase::kMix, Phase::kOut);
  plan.slot_bytes = slot_bytes;
  plan.prepared_bytes = 2 * kMega + 64;
  plan.persistent_bytes = 21120;
  plan.scratch_bytes = 16 * kMega + threads * slot_bytes;
  return plan;
}

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    lines.push_back(text.substr(begin, end - begin));
    begin = end == text.npos ? text.size() : end + 1;
  }
  return lines;
}

TEST_CASE("the text map is a table with one row a region and the totals") {
  const Plan plan = made_up_plan(2, 1000);
  std::string text;
  REQUIRE(io::plan_text(plan, text).ok());
  const std::vector<std::string> lines = lines_of(text);
  REQUIRE(lines.size() == 1 + plan.regions() + 3);
  const std::size_t life = lines[0].find("life");
  for (std::size_t i = 0; i < plan.regions(); ++i) {
    const Region region = plan.region(i);
    CAPTURE(lines[i + 1]);
    CHECK(lines[i + 1].starts_with(to_string(region.space)));
    CHECK(lines[i + 1].find(std::string("  ") + region.name) != std::string::npos);
    CHECK(lines[i + 1].substr(0, life).ends_with(std::to_string(region.bytes) + "  "));
    CHECK(lines[i + 1].substr(life).starts_with(to_string(region.first)));
    CHECK(lines[i + 1].ends_with(to_string(region.last)));
  }
  CHECK(lines[lines.size() - 3].find("2097216  2.0 MiB") != std::string::npos);
  CHECK(lines[lines.size() - 2].find("21120  20.6 KiB") != std::string::npos);
  CHECK(lines[lines.size() - 1].find("16779216  16.0 MiB") != std::string::npos);
}

TEST_CASE("the JSON map has the keys of the command line's contract, and unique names") {
  const Plan plan = made_up_plan(3, 4096);
  std::string text;
  REQUIRE(io::plan_json(plan, text).ok());
  const nlohmann::json json = nlohmann::json::parse(text);
  CHECK(json.at("shape") == nlohmann::json({1, 512, 64, 64}));
  CHECK(json.at("layout") == "nchw");
  CHECK(json.at("threads") == 3);
  CHECK(json.at("isa") == "scalar");
  CHECK(json.at("tile") == nlohmann::json({{"bq", 252}, {"bk", 512}}));
  CHECK(json.at("prepared_bytes") == plan.prepared_bytes);
  CHECK(json.at("persistent_bytes") == plan.persistent_bytes);
  CHECK(json.at("scratch_bytes") == plan.scratch_bytes);
  CHECK(json.at("external_bytes") == 0);
  CHECK(json.at("alignment") == 64);
  const nlohmann::json& map = json.at("map");
  REQUIRE(map.size() == plan.regions());
  for (std::size_t i = 0; i < map.size(); ++i) {
    const Region region = plan.region(i);
    CHECK(map[i].at("space") == to_string(region.space));
    CHECK(map[i].at("offset") == region.offset);
    CHECK(map[i].at("bytes") == region.bytes);
    CHECK(map[i].at("first") == to_string(region.first));
    CHECK(map[i].at("last") == to_string(region.last));
    for (std::size_t j = 0; j < i; ++j) CHECK(map[i].at("name") != map[j].at("name"));
  }
  CHECK(map.back().at("name") == "mixed[2]");
}

struct Label {
  double left, right, baseline;
  std::string text;
};

double attribute(std::string_view element, const std::string& name) {
  const std::size_t at = element.find(' ' + name + "=\"");
  REQUIRE(at != element.npos);
  return std::strtod(element.data() + at + name.size() + 3, nullptr);
}

/// Every text of a picture, with the width of an average character, 0.5 of the font size.
std::vector<Label> labels_of(const std::string& svg) {
  std::vector<Label> labels;
  for (const std::string& line : lines_of(svg)) {
    if (!line.starts_with("<text")) continue;
    const std::size_t begin = line.find('>') + 1;
    const std::string text = line.substr(begin, line.rfind("</text>") - begin);
    const double font = line.find(" font-size=") == line.npos ? 12 : attribute(line, "font-size");
    const double width = static_cast<double>(text.size()) * font * 0.5;
    double left = attribute(line, "x");
    if (line.find("\"middle\"") != line.npos) left -= width / 2;
    if (line.find("\"end\"") != line.npos) left -= width;
    labels.push_back({left, left + width, attribute(line, "y"), text});
  }
  return labels;
}

/// Every rectangle and every text lies inside the canvas, and no text over another.
void check_drawing(const std::string& svg) {
  CHECK(svg.starts_with("<svg xmlns="));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(count(svg, "<text") == count(svg, "</text>"));
  const double width = attribute(svg, "width");
  const double height = attribute(svg, "height");
  for (const std::string& line : lines_of(svg)) {
    if (!line.starts_with("<rect")) continue;
    CHECK(attribute(line, "x") >= 0);
    CHECK(attribute(line, "y") >= 0);
    CHECK(attribute(line, "x") + attribute(line, "width") <= width);
    CHECK(attribute(line, "y") + attribute(line, "height") <= height);
  }
  const std::vector<Label> labels = labels_of(svg);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    CAPTURE(labels[i].text);
    CHECK(labels[i].left >= 0);
    CHECK(labels[i].right <= width);
    CHECK(labels[i].baseline < height);
    for (std::size_t j = 0; j < i; ++j) {
      CAPTURE(labels[j].text);
      const bool beside = labels[i].right <= labels[j].left || labels[j].right <= labels[i].left;
      const bool apart = std::abs(labels[i].baseline - labels[j].baseline) >= 11;
      CHECK((beside || apart));
    }
  }
}

TEST_CASE("the picture draws each region once, inside the canvas, and no text over another") {
  struct Row {
    std::size_t threads, slot_bytes;
  };
  for (const Row& row : {Row{1, 64}, Row{2, 2 * kMega}, Row{3, 999}, Row{8, 3 * kMega}, Row{64, kMega}}) {
    CAPTURE(row.threads);
    const Plan plan = made_up_plan(row.threads, row.slot_bytes);
    std::string svg;
    REQUIRE(io::plan_svg(plan, svg).ok());
    CHECK(count(svg, "class=\"region\"") == plan.regions());
    CHECK(svg.find("&lt;a&amp;&quot;b&quot;&gt;") != std::string::npos);
    CHECK(svg.find("<a&") == std::string::npos);

    check_drawing(svg);
  }
}

TEST_CASE("the picture says what block it is of") {
  Plan plan = made_up_plan(1, 64);
  std::string svg;
  REQUIRE(io::plan_svg(plan, svg).ok());
  CHECK(svg.find(">Memory of one attention block: 512 channels, 64 x 64 pixels, batch 1<") != svg.npos);
  plan.spec.heads = 8;
  REQUIRE(io::plan_svg(plan, svg).ok());
  CHECK(svg.find(": 512 channels in 8 heads, 64 x 64 pixels, batch 1<") != svg.npos);
}

TEST_CASE("the picture has a colour for every name, however many regions a plan holds") {
  Plan plan = made_up_plan(2, kMega);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < Plan::kSharedRegions + Plan::kSlotRegions; ++i) names.push_back("region " + std::to_string(i));
  for (std::size_t i = 0; i < Plan::kSharedRegions; ++i)
    plan.shared_regions[i] = {names[i].c_str(), Space::kScratch, Region::kShared, 64 * i, 64, Phase::kPack, Phase::kMix};
  for (std::size_t i = 0; i < Plan::kSlotRegions; ++i)
    plan.slot_regions[i] = {names[Plan::kSharedRegions + i].c_str(), Space::kScratch, 0, 64 * i, 64, Phase::kOut, Phase::kOut};
  plan.shared_region_count = Plan::kSharedRegions;
  plan.slot_region_count = Plan::kSlotRegions;
  std::string svg;
  REQUIRE(io::plan_svg(plan, svg).ok());
  std::map<std::string, std::string> name_of_colour;
  for (const std::string& line : lines_of(svg)) {
    const std::size_t fill = line.find("class=\"region\" fill=\"");
    if (fill == line.npos) continue;
    const std::string colour = line.substr(fill + 21, 7);
    const std::size_t label = line.find("<title>") + 7;
    const std::string name = line.substr(label, line.find_first_of(":[", label) - label);
    CAPTURE(colour);
    CHECK(name_of_colour.emplace(colour, name).first->second == name);
  }
  CHECK(name_of_colour.size() == names.size());
  check_drawing(svg);
}

/// C512 64x64 in 100 ms, at half of a made-up peak.
io::BenchReport made_up_bench() {
  io::BenchReport bench{.plan = made_up_plan(2, 1000), .reps = 7, .best_ms = 100, .median_ms = 110};
  bench.fma_peak_gflops = 2 * bench.gflops_own();
  for (std::size_t phase = 1; phase < kPhases; ++phase) bench.phase_ms[phase] = static_cast<double>(phase * phase) / 2;
  return bench;
}

TEST_CASE("a benchmark counts what the formula and what a run multiplies") {
  io::BenchReport bench = made_up_bench();
  CHECK(bench.gflop_naive() == doctest::Approx(8.0 * 4096 * 512 * 512 * 1e-9 + 4.0 * 4096 * 4096 * 512 * 1e-9));
  CHECK(bench.gflop_own() == doctest::Approx(4.0 * 4096 * 512 * 512 * 1e-9 + 4.0 * 4096 * 4096 * 512 * 1e-9));
  CHECK(bench.gflops_own() == doctest::Approx(bench.gflop_own() / 0.1));
  CHECK(bench.roofline_fraction() == doctest::Approx(0.5));
  CHECK(bench.phases_ms() == doctest::Approx(102));
  const double one_image = bench.gflop_own();
  bench.plan.shape.batch = 3;
  CHECK(bench.gflop_own() == doctest::Approx(3 * one_image));
}

TEST_CASE("the JSON of a benchmark has the keys of the command line's contract") {
  const io::BenchReport bench = made_up_bench();
  std::string text;
  REQUIRE(io::bench_json(bench, text).ok());
  const nlohmann::json json = nlohmann::json::parse(text);
  CHECK(json.at("shape") == nlohmann::json({1, 512, 64, 64}));
  CHECK(json.at("tile") == nlohmann::json({{"bq", 252}, {"bk", 512}}));
  CHECK(json.at("reps") == 7);
  CHECK(json.at("best_ms") == 100);
  CHECK(json.at("median_ms") == 110);
  CHECK(json.at("gflop_naive") == bench.gflop_naive());
  CHECK(json.at("gflop_own") == bench.gflop_own());
  CHECK(json.at("gflops_own") == bench.gflops_own());
  CHECK(json.at("fma_peak_gflops") == bench.fma_peak_gflops);
  CHECK(json.at("roofline_fraction") == doctest::Approx(0.5));
  const nlohmann::json& phases = json.at("phases_ms");
  CHECK(phases.size() == kPhases - 1);
  for (std::size_t phase = 1; phase < kPhases; ++phase)
    CHECK(phases.at(to_string(static_cast<Phase>(phase))) == bench.phase_ms[phase]);
}

TEST_CASE("the text of a benchmark has a row a phase, with its time and per cent") {
  std::string text;
  REQUIRE(io::bench_text(made_up_bench(), text).ok());
  const std::vector<std::string> lines = lines_of(text);
  REQUIRE(lines.size() == 3 + 1 + (kPhases - 1) + 1);
  CHECK(lines[0] == "best 100.0 ms, median 110.0 ms of 7 runs");
  CHECK(lines[1].ends_with("at the FMA peak: 50.0 %"));
  CHECK(lines[11].starts_with("transpose "));
  CHECK(lines[11].ends_with("32.00 ms   31.4"));
  CHECK(lines[12].ends_with("102.0 ms  100.0"));
}

TEST_CASE("times are written as people read them") {
  struct Row {
    double ms;
    int digits;
    const char* text;
  };
  const Row rows[] = {{0, 3, "0.00 µs"},          {4e-5, 3, "0.04 µs"},       {0.0123, 3, "12.3 µs"},   {0.812, 3, "812 µs"},
                      {0.8124, 4, "812.4 µs"},    {0.9994, 3, "999 µs"},      {0.9996, 3, "1.00 ms"},   {1, 3, "1.00 ms"},
                      {15.53, 3, "15.5 ms"},      {155.3, 3, "155 ms"},       {999.96, 4, "1.000 s"},   {14090, 3, "14.1 s"},
                      {14090, 4, "14.09 s"},      {59940, 3, "59.9 s"},       {59960, 3, "1 min 0 s"},  {204000, 3, "3 min 24 s"},
                      {3599400, 3, "59 min 59 s"}, {3599600, 3, "1 h 0 min"}, {7.5e6, 3, "2 h 5 min"},  {4e8, 3, "111 h 7 min"}};
  for (const Row& row : rows) {
    CAPTURE(row.ms);
    CHECK(io::duration_text(row.ms, row.digits) == row.text);
  }
}

TEST_CASE("the picture of a benchmark draws each phase once, whatever was measured") {
  io::BenchReport all_in_one = made_up_bench();
  for (std::size_t phase = 1; phase < kPhases; ++phase) all_in_one.phase_ms[phase] = phase == 4 ? 100 : 0;
  io::BenchReport above_the_peak = made_up_bench();
  above_the_peak.fma_peak_gflops /= 3;
  for (const io::BenchReport& bench : {made_up_bench(), all_in_one, above_the_peak, io::BenchReport{}}) {
    std::string svg;
    REQUIRE(io::bench_svg(bench, svg).ok());
    CHECK(count(svg, "class=\"phase\"") == kPhases - 1);
    CHECK(count(svg, "class=\"roofline\"") == 1);
    CHECK(svg.find("nan") == std::string::npos);
    check_drawing(svg);
  }
}

TEST_CASE("an empty plan has reports too") {
  const Plan plan;
  std::string text;
  CHECK(io::plan_text(plan, text).ok());
  CHECK(io::plan_json(plan, text).ok());
  CHECK(io::plan_svg(plan, text).ok());
}

}  // namespace
}  // namespace edgeattn::test
