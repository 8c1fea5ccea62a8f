#pragma once

#include <string>
#include <string_view>

/// What the drawn reports have in common.
namespace edgeattn::io {

inline constexpr double kPictureWidth = 1280;
inline constexpr double kFont = 12;
inline constexpr std::string_view kCentred = "text-anchor=\"middle\"";

/// An upper estimate of the width of `text` in the picture's font.
double text_width(std::string_view text);

struct Box {
  double x, y, width, height;
};

/// An SVG in the making: kPictureWidth wide, white, text in kFont unless its style says otherwise.
class Picture {
 public:
  explicit Picture(double height);

  void rect(const Box& box, std::string_view style, std::string_view tooltip = {});
  void line(double x1, double y1, double x2, double y2, std::string_view colour);
  void text(double x, double y, std::string_view content, std::string_view style = {});
  /// A large line and a small one below it.
  void title(std::string_view what, std::string_view details);
  std::string finish() { return out_ + "</svg>\n"; }

 private:
  std::string out_;
};

}  // namespace edgeattn::io
