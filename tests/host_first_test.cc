#include <xnnpack.h>

#include <algorithm>
#include <string_view>

#include "edgeattn/edgeattn.h"
#include "harness.h"
#include "oracle.h"

/// A process of its own: the host initialised XNNPACK before edgeattn could give it its allocator.
TEST_CASE("blocks multiply by themselves where the host initialised XNNPACK first, and XNNPACK alone says how to mend it") {
  using namespace edgeattn;
  using namespace edgeattn::test;
  REQUIRE(xnn_initialize(nullptr) == xnn_status_success);
  Gemm alone;
  const auto ask_for_xnnpack = [&] { return gemm_traits(detect_machine(), alone, GemmChoice::kXnnpack); };
  CHECK_FAILS(ask_for_xnnpack(), StatusCode::kGemm, "initialised by the host before edgeattn");
  CHECK_FAILS(ask_for_xnnpack(), StatusCode::kGemm, "call edgeattn::gemm_traits, in C edgeattn_initialize, before");
  CHECK((alone.probe == nullptr));
  edgeattn_message message;
  CHECK(edgeattn_initialize(&message) == EDGEATTN_OK);

  const Spec spec{.channels = 64};
  const Shape shape{2, 9, 10};
  const io::BlockWeights weights = random_weights(spec, 61);
  std::mt19937_64 engine = random_engine(61);
  const std::vector<float> x = normal_values(engine, shape.batch * spec.channels * shape.tokens());
  TestBlock block(weights, shape, {.threads = 2});
  CHECK(std::string_view(block.plan().gemm_name) == "edgeattn");
  const ErrorBound error = judge(reference(weights, shape, Layout::kNchw, x), shape, x, block.run(x));
  CHECK(error.worst_excess <= 1);
  CHECK(error.worst_error > 0);

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
