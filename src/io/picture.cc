#include "picture.h"

#include "report.h"

namespace edgeattn::io {
namespace {

std::string number(double value) { return fixed(value, 2); }

std::string escaped(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c == '&') result += "&amp;";
    else if (c == '<') result += "&lt;";
    else if (c == '>') result += "&gt;";
    else if (c == '"') result += "&quot;";
    else if (static_cast<unsigned char>(c) >= 0x20) result += c;
  }
  return result;
}

}  // namespace

double text_width(std::string_view text) {
  constexpr double kCharacterWidth = 0.6;  // of the font size, generous for sans-serif
  return static_cast<double>(text.size()) * kFont * kCharacterWidth;
}

Picture::Picture(double height) {
  out_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + number(kPictureWidth) + "\" height=\"" + number(height) +
         "\" viewBox=\"0 0 " + number(kPictureWidth) + ' ' + number(height) +
         "\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"" + number(kFont) + "\" fill=\"#1b1f24\">\n";
  rect({0, 0, kPictureWidth, height}, "fill=\"#ffffff\"");
}

void Picture::rect(const Box& box, std::string_view style, std::string_view tooltip) {
  out_ += "<rect x=\"" + number(box.x) + "\" y=\"" + number(box.y) + "\" width=\"" + number(box.width) + "\" height=\"" +
          number(box.height) + "\" ";
  out_ += style;
  out_ += tooltip.empty() ? "/>\n" : "><title>" + escaped(tooltip) + "</title></rect>\n";
}

void Picture::line(double x1, double y1, double x2, double y2, std::string_view colour) {
  out_ += "<path d=\"M" + number(x1) + ' ' + number(y1) + 'L' + number(x2) + ' ' + number(y2) + "\" stroke=\"";
  out_ += colour;
  out_ += "\"/>\n";
}

void Picture::text(double x, double y, std::string_view content, std::string_view style) {
  out_ += "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" ";
  out_ += style;
  out_ += '>' + escaped(content) + "</text>\n";
}

void Picture::title(std::string_view what, std::string_view details) {
  text(24, 36, what, "font-size=\"20\" font-weight=\"bold\"");
  text(24, 58, details, "font-size=\"13\" fill=\"#57606a\"");
}

}  // namespace edgeattn::io
