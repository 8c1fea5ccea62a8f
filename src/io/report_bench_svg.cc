#include <algorithm>
#include <string>

#include "duration.h"
#include "edgeattn/io.h"
#include "picture.h"
#include "report.h"

namespace edgeattn::io {
namespace {

constexpr double kLeft = 24, kBarWidth = kPictureWidth - 2 * kLeft, kBarHeight = 56;
constexpr double kPhasesTop = 112, kListTop = kPhasesTop + kBarHeight + 30, kListRow = 22;
constexpr double kListColumn = kBarWidth / 4;
constexpr double kRoofTop = kListTop + 2 * kListRow + 34, kHeight = kRoofTop + kBarHeight + 52;
constexpr std::string_view kBold = "font-weight=\"bold\"";
constexpr std::string_view kRight = "text-anchor=\"end\"";

/// Blues and greens for the products, warm colours for what is between them.
constexpr const char* kColours[kPhases] = {"",        "#fdae6b", "#ffe08a", "#9ecae1", "#6baed6",
                                           "#f4a6a0", "#8fd3c8", "#a1d99b", "#e7b8d8"};

std::string fill(Phase phase) {
  return std::string("fill=\"") + kColours[static_cast<std::size_t>(phase)] + "\" stroke=\"#57606a\" stroke-width=\"0.5\"";
}

std::string percent(double fraction) { return fixed(100 * fraction, 1) + " %"; }

void draw_phases(Picture& picture, const BenchReport& bench) {
  const double all = bench.phases_ms();
  picture.text(kLeft, kPhasesTop - 12,
               "Time per phase, " + duration_text(all, 4) + " a thread in the fastest run with a profile", kBold);
  double x = kLeft;
  std::size_t index = 0;
  for (Phase phase : kRunPhases) {
    const double ms = bench.phase_ms[static_cast<std::size_t>(phase)];
    const double fraction = all > 0 ? ms / all : 0;
    const double width = kBarWidth * fraction;
    const std::string name = to_string(phase);
    picture.rect({x, kPhasesTop, width, kBarHeight}, "class=\"phase\" " + fill(phase),
                 name + ": " + duration_text(ms, 4) + ", " + percent(fraction));
    if (std::max(text_width(name), text_width(percent(fraction))) + 8 <= width) {
      picture.text(x + width / 2, kPhasesTop + kBarHeight / 2 - 3, name, kCentred);
      picture.text(x + width / 2, kPhasesTop + kBarHeight / 2 + 13, percent(fraction), kCentred);
    }
    x += width;

    const std::size_t column = index % 4, row = index / 4;
    const double left = kLeft + static_cast<double>(column) * kListColumn;
    const double baseline = kListTop + static_cast<double>(row) * kListRow;
    picture.rect({left, baseline - 10, 11, 11}, fill(phase));
    picture.text(left + 18, baseline, name);
    picture.text(left + 180, baseline, duration_text(ms, 4), kRight);
    picture.text(left + 250, baseline, percent(fraction), kRight);
    ++index;
  }
}

void draw_roofline(Picture& picture, const BenchReport& bench) {
  const double fraction = bench.roofline_fraction();
  const double scale = kBarWidth / std::max(1.0, fraction);
  picture.text(kLeft, kRoofTop - 12,
               "Own multiply-adds: " + fixed(bench.gflops_own(), 1) + " GFLOP/s, " + percent(fraction) +
                   " of the FMA peak, " + fixed(bench.fma_peak_gflops, 1) + " GFLOP/s",
               kBold);
  picture.rect({kLeft, kRoofTop, scale, kBarHeight}, "fill=\"#f6f8fa\" stroke=\"#d0d7de\"");
  picture.rect({kLeft, kRoofTop, scale * fraction, kBarHeight}, "class=\"roofline\" fill=\"#6baed6\"");
  for (int tick = 0; tick <= 5; ++tick) {
    const double x = kLeft + scale * tick / 5;
    const auto anchor = tick == 0 ? std::string_view() : tick == 5 && fraction <= 1 ? kRight : kCentred;
    picture.line(x, kRoofTop, x, kRoofTop + kBarHeight + 6, tick == 5 ? "#1b1f24" : "#d0d7de");
    picture.text(x, kRoofTop + kBarHeight + 22, fixed(bench.fma_peak_gflops * tick / 5, 0), anchor);
  }
}

std::string draw(const BenchReport& bench) {
  Picture picture(kHeight);
  picture.title("Speed of one attention block: " + block_title(bench.plan),
                "best " + duration_text(bench.best_ms, 4) + ", median " + duration_text(bench.median_ms, 4) + " of " +
                    std::to_string(bench.reps) + " runs; " + run_title(bench.plan));
  draw_phases(picture, bench);
  draw_roofline(picture, bench);
  return picture.finish();
}

}  // namespace

Status bench_svg(const BenchReport& bench, std::string& text) noexcept {
  return report(text, [&] { return draw(bench); });
}

}  // namespace edgeattn::io
