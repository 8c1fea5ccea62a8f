#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "edgeattn/io.h"
#include "picture.h"
#include "report.h"

namespace edgeattn::io {
namespace {

constexpr double kPlotTop = 118;
constexpr double kMinPlotHeight = 440;
constexpr double kWeightsLeft = 84, kWeightsWidth = 232;
constexpr double kScratchLeft = 388, kScratchWidth = 567;
constexpr double kListLeft = 1024, kListRight = 1256, kEntryRow = 19;

constexpr const char* kPalette[] = {"#9ecae1", "#fdae6b", "#a1d99b", "#bcbddc", "#f4a6a0", "#ffe08a", "#8fd3c8",
                                    "#e7b8d8", "#c7d59f", "#d9c3a5", "#b3c6e7", "#f7c6a3", "#9fd6e8", "#d4b9da",
                                    "#c9c9c9", "#e6e08f", "#a8ddb5", "#fbb4b9", "#b2b8a3", "#cbd5e8",
                                    "#f0b6d6", "#8db4b8", "#d8c98f", "#b79f9f", "#c3b1e1", "#98c9a3"};
static_assert(std::size(kPalette) >= Plan::kSharedRegions + Plan::kSlotRegions, "two regions would look alike");

/// One line of the list: a region, or all slots' regions of one name.
struct Entry {
  Region region;
  std::size_t count = 1;
};

std::vector<Entry> entries_of(const Plan& plan) {
  std::vector<Entry> entries;
  for (std::size_t i = 0; i < plan.regions(); ++i) {
    const Region region = plan.region(i);
    const auto known = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) {
      return entry.region.space == region.space && std::string_view(entry.region.name) == region.name;
    });
    if (known == entries.end()) entries.push_back({region});
    else ++known->count;
  }
  return entries;
}

std::string colour_of(const std::vector<Entry>& entries, const Region& region) {
  const auto entry = std::find_if(entries.begin(), entries.end(), [&](const Entry& candidate) {
    return candidate.region.space == region.space && std::string_view(candidate.region.name) == region.name;
  });
  return kPalette[entry - entries.begin()];
}

/// A byte axis with rectangles over it; byte 0 is at the top.
struct Panel {
  double left, width, height;
  std::size_t bytes;

  [[nodiscard]] double y(std::size_t offset) const {
    return kPlotTop + height * static_cast<double>(offset) / static_cast<double>(std::max<std::size_t>(bytes, 1));
  }
};

void draw_axis(Picture& picture, const Panel& panel, std::string_view title) {
  picture.text(panel.left, kPlotTop - 34, title, "font-weight=\"bold\"");
  picture.rect({panel.left, kPlotTop, panel.width, panel.height}, "fill=\"#f6f8fa\" stroke=\"#d0d7de\"");
  std::size_t step = 64;
  while (panel.bytes / step > 4) step *= 2;
  for (std::size_t tick = 0; tick <= panel.bytes; tick += step) {
    const double y = panel.y(tick);
    picture.line(panel.left - 4, y, panel.left + panel.width, y, "#d0d7de");
    picture.text(panel.left - 8, y + 4, tick == 0 ? "0" : human_bytes(tick), "text-anchor=\"end\" fill=\"#57606a\"");
  }
}

void draw_region(Picture& picture, const Region& region, const Box& box, const std::string& colour) {
  const std::string label = region_label(region);
  const std::string size = human_bytes(region.bytes);
  const char* outline = box.height > 3 ? "\" stroke=\"#57606a\" stroke-width=\"0.5\"" : "\"";
  picture.rect(box, "class=\"region\" fill=\"" + colour + outline,
               label + ": " + std::to_string(region.bytes) + " bytes at " + std::to_string(region.offset));
  const double x = box.x + box.width / 2;
  const double y = box.y + box.height / 2 + 4;
  const std::string both = label + ", " + size;
  const auto fits = [&](std::string_view text, double lines) {
    return box.height >= lines * (kFont + 3) && text_width(text) + 8 <= box.width;
  };
  if (fits(both, 1)) {
    picture.text(x, y, both, kCentred);
  } else if (fits(label, 2)) {
    picture.text(x, y - kFont / 2 - 1, label, kCentred);
    picture.text(x, y + kFont / 2 + 1, size, kCentred);
  } else if (fits(label, 1)) {
    picture.text(x, y, label, kCentred);
  }
}

/// A brace at the right of the scratch panel for each slot that is tall enough to be named.
void draw_slots(Picture& picture, const Plan& plan, const Panel& scratch) {
  constexpr double kLeft = kScratchLeft + kScratchWidth + 6;
  std::vector<std::pair<std::size_t, std::size_t>> extents(plan.threads, {plan.scratch_bytes, 0});
  for (std::size_t i = 0; i < plan.regions(); ++i) {
    const Region region = plan.region(i);
    if (region.space != Space::kScratch || region.slot >= extents.size()) continue;
    auto& [begin, end] = extents[region.slot];
    begin = std::min(begin, region.offset);
    end = std::max(end, region.offset + region.bytes);
  }
  for (std::size_t slot = 0; slot < extents.size(); ++slot) {
    const double top = scratch.y(extents[slot].first) + 1;
    const double bottom = scratch.y(extents[slot].second) - 1;
    if (bottom - top < kFont) continue;
    picture.line(kLeft, top, kLeft, bottom, "#57606a");
    picture.text(kLeft + 5, (top + bottom) / 2 + 4, "slot " + std::to_string(slot),
                 "font-size=\"11\" fill=\"#57606a\"");
  }
}

void draw_spaces(Picture& picture, const Plan& plan, const std::vector<Entry>& entries, double height) {
  const Panel weights{kWeightsLeft, kWeightsWidth, height, std::max(plan.prepared_bytes, plan.persistent_bytes)};
  const Panel scratch{kScratchLeft, kScratchWidth, height, plan.scratch_bytes};
  draw_axis(picture, weights, "For the block's life");
  draw_axis(picture, scratch, "Scratch, by phase of a run");

  const double half = kWeightsWidth / 2;
  picture.text(kWeightsLeft + half / 2, kPlotTop - 10, "prepared", "text-anchor=\"middle\" fill=\"#57606a\"");
  picture.text(kWeightsLeft + half * 1.5, kPlotTop - 10, "persistent", "text-anchor=\"middle\" fill=\"#57606a\"");
  const double column = kScratchWidth / static_cast<double>(kPhases);
  for (std::size_t phase = 0; phase < kPhases; ++phase) {
    const double x = kScratchLeft + column * static_cast<double>(phase);
    picture.line(x, kPlotTop, x, kPlotTop + height, "#e3e7eb");
    picture.text(x + column / 2, kPlotTop - 10, to_string(static_cast<Phase>(phase)),
                 "text-anchor=\"middle\" font-size=\"11\" fill=\"#57606a\"");
  }

  for (std::size_t i = 0; i < plan.regions(); ++i) {
    const Region region = plan.region(i);
    const Panel& panel = region.space == Space::kScratch ? scratch : weights;
    const double top = panel.y(region.offset);
    Box box{kWeightsLeft, top, half, std::max(panel.y(region.offset + region.bytes) - top, 0.75)};
    if (region.space == Space::kPersistent) box.x += half;
    if (region.space == Space::kScratch) {
      const auto first = static_cast<double>(region.first);
      box.x = kScratchLeft + column * first;
      box.width = column * (static_cast<double>(region.last) - first + 1);
    }
    draw_region(picture, region, box, colour_of(entries, region));
  }
  draw_slots(picture, plan, scratch);
}

void draw_list(Picture& picture, const Plan& plan, const std::vector<Entry>& entries) {
  double y = kPlotTop - 34;
  for (Space space : kSpaces) {
    const std::size_t bytes = space_bytes(plan, space);
    picture.text(kListLeft, y, to_string(space), "font-weight=\"bold\"");
    picture.text(kListRight, y, std::to_string(bytes) + " bytes", "text-anchor=\"end\" font-weight=\"bold\"");
    for (const Entry& entry : entries) {
      if (entry.region.space != space) continue;
      y += kEntryRow;
      const std::string count = entry.count > 1 ? " x " + std::to_string(entry.count) : "";
      picture.rect({kListLeft, y - 10, 11, 11}, "fill=\"" + colour_of(entries, entry.region) + "\" stroke=\"#57606a\"");
      picture.text(kListLeft + 18, y, entry.region.name + count);
      picture.text(kListRight, y, std::to_string(entry.region.bytes), "text-anchor=\"end\"");
    }
    y += kEntryRow * 1.6;
  }
}

double plot_height(std::size_t entries) {
  const double list = static_cast<double>(entries) * kEntryRow + 3 * 1.6 * kEntryRow - 34;
  return std::max(kMinPlotHeight, list);
}

std::string draw(const Plan& plan) {
  const std::vector<Entry> entries = entries_of(plan);
  const double height = plot_height(entries.size());
  Picture picture(kPlotTop + height + 28);

  const auto join = [](auto... parts) { return (std::string() + ... + parts); };
  picture.title(join("Memory of one attention block: ", block_title(plan)),
                join("prepared ", human_bytes(plan.prepared_bytes), ", persistent ", human_bytes(plan.persistent_bytes),
                     ", scratch ", human_bytes(plan.scratch_bytes), "; ", run_title(plan)));
  draw_spaces(picture, plan, entries, height);
  draw_list(picture, plan, entries);
  return picture.finish();
}

}  // namespace

Status plan_svg(const Plan& plan, std::string& text) noexcept {
  return report(text, [&] { return draw(plan); });
}

}  // namespace edgeattn::io
