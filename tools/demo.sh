#!/usr/bin/env bash
# Builds the tool in build/test and runs two attention blocks of a trained diffusion UNet on their real inputs, with every
# instruction set of this machine, against outputs computed in float64. Then shows the memory that one of them needs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/build.sh test --buildtype=release -- edgeattn:executable
tool=build/test/src/edgeattn
mkdir -p build/demo
blocks=tests/data/digits-blocks.safetensors
svg=build/demo/memory-map.svg

echo
echo "Two attention blocks of a UNet that draws digits, against float64:"
status=0
python3 tools/check_digits.py "$tool" "$blocks" tests/data/digits-activations.safetensors a0. am. |
  tee build/demo/digits.txt || status=1
echo
echo "Memory of block a0. on two threads:"
"$tool" plan --weights "$blocks" --prefix a0. --shape 2,64,16,16 --threads 2 --svg "$svg"
echo
echo "picture of the memory map: $PWD/$svg"
tail -n 1 build/demo/digits.txt
exit "$status"
