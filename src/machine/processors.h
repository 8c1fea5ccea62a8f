#pragma once

#include <cstddef>

namespace edgeattn {

/// Logical processors that the affinity of the calling thread allows; at least 1.
std::size_t affine_processors() noexcept;

/// Processors that the CPU quota of this process's control group and of all above it amounts to, part of one counting as one: 1.5 is 2.
/// Of cgroup v2, of v1, or of both side by side. SIZE_MAX without a quota, and where files are missing or make no sense.
///
/// @param root  of the file system: "" but in tests
std::size_t quota_processors(const char* root) noexcept;

}  // namespace edgeattn
