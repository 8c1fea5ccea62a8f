#pragma once

/// What counted_malloc.cc, which stands in for malloc and its family in the programs that have it, counts and makes fail.
namespace edgeattn::test {

/// Of the process so far, on all threads.
struct Counts {
  long allocations, releases, live_bytes;
};
Counts count();

enum class Failing { kOnce, kFromThereOn };

/// While it lives, allocations of this thread fail: the nth from its construction on, or that and all that follow. They do not
/// nest.
class FailingAllocation {
 public:
  FailingAllocation(long nth, Failing how);
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;

  /// Whether there were so many.
  [[nodiscard]] bool happened() const;
};

}  // namespace edgeattn::test
