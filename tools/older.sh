#!/usr/bin/env bash
# Runs what asks what a processor has or lacks, from build/test as tools/test.sh leaves it, as older x86 processors that QEMU emulates:
# tools/older.sh [PROCESSOR…]. Nehalem has no vector instructions that edgeattn knows; Haswell and the first Zen (EPYC) have no AVX-512,
# and XNNPACK packs for each in its own way. The last line sums up.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/checks.sh

# What QEMU does not emulate of a processor would be a warning at every start.
declare -A lacks=([Nehalem]= [Haswell]=,-pcid,-x2apic,-tsc-deadline,-hle,-invpcid,-rtm
                  [EPYC]=,-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw,-topoext,-nrip-save,-xsavec)
declare -A best=([Nehalem]=scalar [Haswell]=avx2 [EPYC]=avx2)
processors=("$@")
[[ ${#processors[@]} -gt 0 ]] || processors=(Nehalem Haswell EPYC)
for processor in "${processors[@]}"; do
  if [[ -z ${best[$processor]:-} ]]; then
    echo "usage: tools/older.sh [Nehalem|Haswell|EPYC]..." >&2
    exit 2
  fi
done

tools/setup.sh qemu-user
build=build/test
if [[ ! -x $build/tests/isa_tests ]]; then
  echo "$build is not there: run tools/test.sh first" >&2
  exit 1
fi
png=no-png
if grep -q EDGEATTN_PNG=1 "$build/build.ninja"; then png=png; fi

# The instruction set that edgeattn takes shows that the processor is the one that was asked for.
takes() { "${qemu[@]}" "$build/src/edgeattn" plan --shape 1,64,4,4 | tee /dev/stderr | grep -qw "$1"; }

for processor in "${processors[@]}"; do
  qemu=(qemu-x86_64 -cpu "$processor${lacks[$processor]}")
  export MESON_EXE_WRAPPER="${qemu[*]}"
  check "$processor has ${best[$processor]}" takes "${best[$processor]}"
  check "$processor, blocks" "${qemu[@]}" "$build/tests/isa_tests" --sample --data=tests/data
  check "$processor, random specs" "${qemu[@]}" "$build/tests/random_specs" --sample --cases=20
  # For XNNPACK, the first Zen is another processor than Haswell; for edgeattn it is not.
  if [[ $processor != EPYC ]]; then
    check "$processor, plans and products" "${qemu[@]}" "$build/tests/plain_tests" --data=tests/data \
      -sf='*plan_test.cc,*precision_test.cc,*gemm_test.cc,*layout_test.cc'
    check "$processor, the tool" python3 tests/cli_test.py "$build/src/edgeattn" "$png"
    check "$processor, the sampler" python3 tests/sampler_test.py "$build/examples/sampler/src/sampler" "$build/src/edgeattn"
  fi
done
sum_checks
