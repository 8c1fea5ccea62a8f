#pragma once

#include <cstddef>
#include <numbers>
#include <string>

#include "edgeattn/io.h"

/// The golden blocks of tests/data/families.safetensors (families/make.py), and what each needs to be told.
namespace edgeattn::test {

inline constexpr std::size_t kFamilyGroups = 6;

struct Family {
  std::string name;
  const char* style;
  double eps = 0;  ///< here and below: as BlockRequest
  std::size_t heads = 0;
  io::QkvOrder order = io::QkvOrder::kUnsaid;
  bool residual = true;
  double rescale_output = 0;

  [[nodiscard]] std::string prefix() const { return name + '.'; }
  /// All of it; lives as long as the family and the prefix.
  [[nodiscard]] io::BlockRequest request(const std::string& prefix) const {
    return {.prefix = &prefix,
            .groups = kFamilyGroups,
            .eps = eps,
            .heads = heads,
            .qkv_order = order,
            .residual = &residual,
            .rescale_output = rescale_output};
  }
};

inline const Family kFamilies[] = {
    {.name = "ddpm", .style = "ddpm"},
    {.name = "diffusers", .style = "diffusers", .eps = 1e-6, .heads = 1},
    {.name = "diffusers-rescaled",
     .style = "diffusers",
     .eps = 1e-5,
     .heads = 1,
     .rescale_output = std::numbers::sqrt2},
    {.name = "diffusers-no-residual",
     .style = "diffusers",
     .eps = 1e-6,
     .heads = 1,
     .residual = false,
     .rescale_output = 1.5},
    {.name = "diffusers-4-heads", .style = "diffusers", .eps = 1e-5, .heads = 4},
    {.name = "diffusers-legacy", .style = "diffusers-legacy", .eps = 1e-6, .heads = 1},
    {.name = "compvis", .style = "compvis"},
    {.name = "guided-diffusion", .style = "guided-diffusion", .heads = 1},
    {.name = "guided-diffusion-4-heads-legacy", .style = "guided-diffusion", .heads = 4, .order = io::QkvOrder::kLegacy},
    {.name = "guided-diffusion-4-heads-new", .style = "guided-diffusion", .heads = 4, .order = io::QkvOrder::kNew},
};

}  // namespace edgeattn::test
