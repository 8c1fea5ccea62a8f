#!/usr/bin/env bash
# Times edgeattn beside the engine's prototype, each in processes of its own, interleaved, and prints the best times and their
# ratio. Usage: bench/against_prototype.sh BUILD_DIR PROTOTYPE.cc [ROUNDS]    (for XNNPACK's API of 2022, on a processor with AVX-512)
set -euo pipefail
build=${1:?build directory} prototype=${2:?prototype source} rounds=${3:-5}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
g++ -O3 -march=x86-64-v3 -w "$prototype" -o "$work/prototype" -lXNNPACK -lpthreadpool -lpthread

best() { sort -g | head -n 1; }
printf '%-14s %12s %12s %7s   2 threads, best of %d processes\n' shape 'edgeattn ms' 'prototype ms' ratio "$rounds"
# channels, side, the prototype's best tiles, runs in a process
while read -r channels side bq bk runs; do
  : > "$work/own"; : > "$work/theirs"
  for _ in $(seq "$rounds"); do
    "$build/bench/block_time" "$channels,$side,$side" 2 "$runs" | cut -d' ' -f1 >> "$work/own"
    BK=$bk "$work/prototype" "$channels" $((side * side)) "$bq" 2 "$runs" | sed 's/.*min \([0-9.]*\) .*/\1/' >> "$work/theirs"
  done
  own=$(best < "$work/own") theirs=$(best < "$work/theirs")
  printf '%-14s %12s %12s %7s\n' "C$channels ${side}x$side" "$own" "$theirs" "$(awk "BEGIN { printf \"%.3f\", $own / $theirs }")"
done <<'SHAPES'
512 64 504 512 8
512 64 252 512 8
512 32 252 512 30
256 32 126 512 60
256 16 126 256 300
512 8 32 64 400
SHAPES
