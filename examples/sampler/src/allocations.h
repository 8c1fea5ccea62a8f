#pragma once

namespace sampler {

/// Of the whole process, on all threads, since it began.
struct AllocationCounts {
  long allocations = 0;
  long releases = 0;
  long live_bytes = 0;
};

/// What a program that is linked with allocations.cc has allocated and released: that file stands in for malloc and its
/// family, of glibc. Allocates nothing.
AllocationCounts count_allocations() noexcept;

}  // namespace sampler
