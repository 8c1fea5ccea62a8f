#pragma once

#include <cstddef>

namespace sampler {

/// A bar on standard error, if that is a terminal; cleared at the end. Allocates nothing.
class Progress {
 public:
  explicit Progress(std::size_t steps) noexcept;
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(std::size_t done) const noexcept;

 private:
  std::size_t steps_;
  bool terminal_;
};

}  // namespace sampler
