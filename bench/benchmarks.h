#pragma once

/// What each file of the suite adds to it: docs/benchmarks.md.
namespace edgeattn::bench {

void add_kernels();
void add_gemms();
void add_blocks();
void add_phases();

}  // namespace edgeattn::bench
