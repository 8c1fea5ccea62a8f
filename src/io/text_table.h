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

/// The rows in columns as wide as their widest cell, two spaces apart.
template <std::size_t kColumns>
std::string table(const std::vector<Row<kColumns>>& rows, const std::array<bool, kColumns>& right_aligned) {
  std::array<std::size_t, kColumns> widths{};
  for (const auto& row : rows)
    for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < kColumns; ++i) {
      const std::string padding(widths[i] - row[i].size(), ' ');
      if (right_aligned[i]) text += padding + row[i];
      else text += row[i] + (i + 1 < kColumns ? padding : "");
      text += i + 1 < kColumns ? "  " : "\n";
    }
  }
  return text;
}

}  // namespace edgeattn::io
