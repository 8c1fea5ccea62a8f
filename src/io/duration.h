#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <string>

namespace edgeattn::io {

/// A time as people read it: "812 µs", "15.5 ms", "14.1 s", "3 min 24 s", "2 h 5 min"; below minutes with so many significant
/// digits.
inline std::string duration_text(double ms, int digits = 3) {
  struct Unit {
    const char* name;
    double ms;
    double most;  ///< of the unit, before the next one takes over
  };
  constexpr Unit kUnits[] = {{" µs", 1e-3, 1000}, {" ms", 1, 1000}, {" s", 1e3, 60}};
  for (const Unit& unit : kUnits) {
    const double value = ms / unit.ms;
    const int before_point = value < 1 ? 1 : static_cast<int>(std::floor(std::log10(value))) + 1;
    const int decimals = before_point < digits ? digits - before_point : 0;
    const double places = std::pow(10, decimals);
    // What is rounded up to the next unit is written in it.
    if (std::round(value * places) / places >= unit.most) continue;
    char text[64];
    const auto [end, error] = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, decimals);
    return std::string(text, end) + unit.name;
  }
  const double seconds = std::round(ms / 1e3), minutes = std::round(ms / 6e4);
  const auto whole = [](double value) { return std::to_string(static_cast<long long>(value)); };
  if (seconds < 3600) return whole(std::floor(seconds / 60)) + " min " + whole(std::fmod(seconds, 60)) + " s";
  return whole(std::floor(minutes / 60)) + " h " + whole(std::fmod(minutes, 60)) + " min";
}

}  // namespace edgeattn::io
