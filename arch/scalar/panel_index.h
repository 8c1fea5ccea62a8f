#pragma once

#include <cstddef>

#include "kernels.h"

namespace edgeattn::scalar {

/// Where a packed operand keeps each element: the formula of PanelLayout::offset, with what depends on the column taken
/// out of the loop over depth. With kPlain, kr and sr are 1 whatever `panels` says.
template <bool kPlain>
class PanelIndex {
 public:
  struct Column {
    std::size_t first;  ///< index of depth 0, were it not rotated
    std::size_t rotation;
  };

  explicit PanelIndex(const Panels& panels)
      : nr_(panels.nr), stride_(panels.panel_stride), kr_(panels.kr), group_(panels.kr * panels.sr) {}

  std::size_t kr() const { return kPlain ? 1 : kr_; }
  std::size_t group() const { return kPlain ? 1 : group_; }

  Column column(std::size_t column) const {
    const std::size_t place = column % nr_ * kr();
    return {column / nr_ * stride_ + nr_ + place, place % group()};
  }

  std::size_t operator()(std::size_t depth, Column column) const {
    const std::size_t in_group = group() - 1;
    const std::size_t in_run = kr() - 1;
    const std::size_t rotated = (depth - column.rotation) & in_group;
    return column.first + ((depth & ~in_group) + (rotated & ~in_run)) * nr_ + (depth & in_run);
  }

 private:
  std::size_t nr_;
  std::size_t stride_;
  std::size_t kr_;
  std::size_t group_;
};

}  // namespace edgeattn::scalar
