#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <vector>

/// Tables for a terminal.
namespace edgeattn::io {

template <std::size_t kColumns>
using Row = std::array<std::string, kColumns>;

/// Characters of UTF-8 text.
inline std::size_t text_columns(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; }));
}

/// The rows in columns as wide as their widest cell, two spaces apart.
template <std::size_t kColumns>
std::string table(const std::vector<Row<kColumns>>& rows, const std::array<bool, kColumns>& right_aligned) {
  std::array<std::size_t, kColumns> widths{};
  for (const auto& row : rows)
    for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], text_columns(row[i]));
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < kColumns; ++i) {
      const std::string padding(widths[i] - text_columns(row[i]), ' ');
      if (right_aligned[i]) text += padding + row[i];
      else text += row[i] + (i + 1 < kColumns ? padding : "");
      text += i + 1 < kColumns ? "  " : "\n";
    }
  }
  return text;
}

}  // namespace edgeattn::io
