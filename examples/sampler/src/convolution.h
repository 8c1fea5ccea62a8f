#pragma once

#include <pthreadpool.h>
#include <xnnpack.h>

#include <memory>
#include <string>

#include "edgeattn/io.h"
#include "maps.h"

namespace sampler {

/// A convolution of XNNPACK's between feature maps that stay where they are. XNNPACK keeps its weights, packed, and allocates
/// whatever a run needs when one is made.
class Convolution {
 public:
  /// @param name    of its tensors: NAME.weight [outputs, inputs, kernel, kernel], NAME.bias [outputs]
  /// @param kernel  odd: pixels of each side of it; padded with zeros by half of it
  /// @param stride  input pixels to an output pixel, along each side
  /// Throws Failure.
  Convolution(const edgeattn::io::SafetensorsFile& file, const std::string& name, std::size_t kernel, std::size_t stride,
              const Maps& in, const Maps& out, pthreadpool_t pool);

  /// Throws Failure, for which a convolution that was made gives no cause.
  void run() const;

 private:
  struct Delete {
    void operator()(xnn_operator_t op) const noexcept { xnn_delete_operator(op); }
  };
  std::unique_ptr<xnn_operator, Delete> operator_;
  pthreadpool_t pool_;
};

}  // namespace sampler
