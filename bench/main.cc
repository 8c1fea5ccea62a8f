#include "benchmarks.h"
#include "timing.h"

int main(int argc, char** argv) {
  using namespace edgeattn::bench;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("gemm", host().gemm.name);
  benchmark::AddCustomContext("isa", to_string(isas().back()));
  add_kernels();
  add_gemms();
  add_blocks();
  add_phases();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
