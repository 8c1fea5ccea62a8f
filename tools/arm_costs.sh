#!/usr/bin/env bash
# Rewrites the tables of docs/arm.md: what the kernels should cost on Cortex-A53, A72 and A76, by llvm-mca from the objects
# of `tools/cross.sh aarch64`, and the tiles that are planned for boards with these cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

base=build/cross/aarch64
for core in cortex-a53 cortex-a72 cortex-a76; do
  if [[ ! -x $base/build/src/edgeattn || ! -d $base/cores/$core ]]; then
    echo "$base is not there: run tools/cross.sh aarch64 first" >&2
    exit 1
  fi
done
# The first LLVM of Debian 12 that knows the pipelines of Neoverse N1, which are those of Cortex-A76.
tools/setup.sh llvm-19
exec python3 -B tools/arm_costs.py "$base" llvm-mca-19 docs/arm.md
