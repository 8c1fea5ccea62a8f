#pragma once

#include <pthreadpool.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "edgeattn/block.h"
#include "edgeattn/io.h"
#include "maps.h"

namespace sampler {

/// The attention blocks of a network, by edgeattn, on one scratch span and one pool, in one piece of memory.
class Attention {
 public:
  struct Place {
    std::string prefix;  ///< of the block's weights
    std::size_t side;    ///< pixels
  };

  /// Plans, prepares and binds one block for each place. XNNPACK must not be initialised yet: this does it. Throws Failure, also
  /// where the processor lacks the precision.
  Attention(const edgeattn::io::SafetensorsFile& file, std::span<const Place> places, std::size_t images,
            edgeattn::Precision precision, std::size_t threads, pthreadpool_t pool);

  /// Runs a block in place; `maps` have the size that was planned. Throws Failure if it is not aligned.
  void run(std::size_t place, const Maps& maps);

  [[nodiscard]] std::size_t prepared_bytes() const noexcept { return prepared_bytes_; }
  [[nodiscard]] std::size_t persistent_bytes() const noexcept { return persistent_bytes_; }
  [[nodiscard]] std::size_t scratch_bytes() const noexcept { return scratch_bytes_; }  ///< of the block that needs most
  [[nodiscard]] double seconds() const noexcept { return seconds_; }                   ///< of all runs so far

 private:
  struct Free {
    void operator()(std::byte* memory) const noexcept;
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::vector<edgeattn::Block> blocks_;
  std::size_t prepared_bytes_ = 0, persistent_bytes_ = 0, scratch_bytes_ = 0;
  double seconds_ = 0;
};

}  // namespace sampler
