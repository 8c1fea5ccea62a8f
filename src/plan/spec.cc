#include "plan/spec.h"

#include <limits>

namespace edgeattn {
namespace {

bool positive_and_finite(double value) noexcept {
  return value > 0 && value <= std::numeric_limits<double>::max();
}

}  // namespace

const char* to_string(Norm norm) noexcept {
  switch (norm) {
    case Norm::kGroup: return "gn";
    case Norm::kInstance: return "in";
    case Norm::kBatch: return "bn";
    case Norm::kNone: return "none";
  }
  return "?";
}

const char* to_string(Layout layout) noexcept { return layout == Layout::kNhwc ? "nhwc" : "nchw"; }

Status check_spec(const Spec& spec) noexcept {
  if (spec.channels == 0) return Status::error(StatusCode::kInvalidArgument, "channels must be at least 1");
  if (spec.norm == Norm::kGroup && (spec.groups == 0 || spec.channels % spec.groups != 0))
    return Status::error(StatusCode::kInvalidArgument, "groups must divide the ", spec.channels, " channels, got ",
                         spec.groups, " groups");
  if (spec.norm != Norm::kNone && !positive_and_finite(spec.eps))
    return Status::error(StatusCode::kInvalidArgument, "eps must be positive and finite");
  if (spec.scale != 0 && !positive_and_finite(spec.scale))
    return Status::error(StatusCode::kInvalidArgument, "scale must be positive and finite, or 0 for 1/sqrt(C/heads)");
  if (!(spec.rescale_output >= 1e-30 && spec.rescale_output <= 1e30))
    return Status::error(StatusCode::kInvalidArgument, "rescale_output must be from 1e-30 to 1e30");
  if (spec.heads == 0) return Status::error(StatusCode::kInvalidArgument, "heads must be at least 1");
  if (spec.channels % spec.heads != 0)
    return Status::error(StatusCode::kInvalidArgument, "heads must divide the ", spec.channels, " channels, got ",
                         spec.heads, " heads");
  return {};
}

std::size_t group_channels(const Spec& spec) noexcept {
  return spec.norm == Norm::kGroup ? spec.channels / spec.groups : 1;
}

}  // namespace edgeattn
