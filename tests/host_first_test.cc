#include <xnnpack.h>

#include <string_view>

#include "edgeattn/edgeattn.h"
#include "harness.h"

/// A process of its own: the host initialised XNNPACK before edgeattn could give it its allocator.
TEST_CASE("XNNPACK initialised by the host first is an error that says how to mend it") {
  using namespace edgeattn;
  REQUIRE(xnn_initialize(nullptr) == xnn_status_success);
  Gemm gemm;
  CHECK_FAILS(gemm_traits(detect_machine(), gemm), StatusCode::kGemm, "initialised by the host before edgeattn");
  CHECK_FAILS(gemm_traits(detect_machine(), gemm), StatusCode::kGemm, "call edgeattn::gemm_traits, in C edgeattn_initialize, before");
  CHECK((gemm.probe == nullptr));
  edgeattn_message message;
  CHECK(edgeattn_initialize(&message) == EDGEATTN_GEMM);
  CHECK(std::string_view(message.text).find("edgeattn_initialize, before") != std::string_view::npos);

  // The host's own use of XNNPACK goes on.
  const float kernel[4] = {1, 2, 3, 4};
  xnn_operator_t op = nullptr;
#if EDGEATTN_XNNPACK_2022
  REQUIRE(xnn_create_fully_connected_nc_f32(2, 2, 2, 2, kernel, nullptr, -1e9f, 1e9f, 0, &op) == xnn_status_success);
#else
  REQUIRE(xnn_create_fully_connected_nc_f32(2, 2, 2, 2, kernel, nullptr, -1e9f, 1e9f, 0, nullptr, nullptr, &op) ==
          xnn_status_success);
#endif
  CHECK(xnn_delete_operator(op) == xnn_status_success);
}
