#pragma once

#include <string>
#include <string_view>

#include "edgeattn/edgeattn.h"
#include "harness.h"

/// Fails the test with the message of a C call; `message` is in scope.
#define REQUIRE_C_OK(expression) REQUIRE_MESSAGE((expression) == EDGEATTN_OK, std::string(message.text))

/// Checks that a C call fails with `status_expected` and a message that contains `expected`.
#define CHECK_C_FAILS(expression, status_expected, expected)                                       \
  do {                                                                                             \
    const edgeattn_status status_of_call = (expression);                                           \
    CHECK_MESSAGE(status_of_call == (status_expected), edgeattn_status_string(status_of_call));    \
    CHECK_MESSAGE(std::string_view(message.text).find(expected) != std::string_view::npos,         \
                  std::string(message.text));                                                      \
  } while (false)

namespace edgeattn::test {

inline edgeattn_spec c_spec(const Spec& spec) {
  return {.size = sizeof(edgeattn_spec),
          .channels = spec.channels,
          .norm = static_cast<edgeattn_norm>(spec.norm),
          .no_residual = !spec.residual,
          .groups = spec.groups,
          .heads = spec.heads,
          .eps = spec.eps,
          .scale = spec.scale,
          .rescale_output = spec.rescale_output};
}

}  // namespace edgeattn::test
