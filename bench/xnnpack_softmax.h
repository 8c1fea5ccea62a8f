#pragma once

#include <xnnpack.h>

#include <cstddef>
#include <cstdlib>

namespace edgeattn::bench {

/// XNNPACK's own softmax over rows of `channels`, in place, on the calling thread.
class XnnpackSoftmax {
 public:
  explicit XnnpackSoftmax(std::size_t channels) : channels_(channels) {
#if EDGEATTN_XNNPACK_2022
    check(xnn_create_softmax_nc_f32(channels_, channels_, channels_, /*flags=*/0, &op_));
#else
    check(xnn_create_softmax_nc_f32(/*flags=*/0, &op_));
#endif
  }
  ~XnnpackSoftmax() { xnn_delete_operator(op_); }
  XnnpackSoftmax(const XnnpackSoftmax&) = delete;
  XnnpackSoftmax& operator=(const XnnpackSoftmax&) = delete;

  void run(float* values, std::size_t rows) const {
#if EDGEATTN_XNNPACK_2022
    check(xnn_setup_softmax_nc_f32(op_, rows, values, values, nullptr));
#else
    check(xnn_reshape_softmax_nc_f32(op_, channels_, channels_, channels_, rows, nullptr));
    check(xnn_setup_softmax_nc_f32(op_, values, values));
#endif
    check(xnn_run_operator(op_, nullptr));
  }

 private:
  static void check(xnn_status status) {
    if (status != xnn_status_success) std::abort();
  }

  std::size_t channels_;
  xnn_operator_t op_ = nullptr;
};

}  // namespace edgeattn::bench
