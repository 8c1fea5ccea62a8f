#!/usr/bin/env bash
# Builds build/without-xnnpack, where all products are those of edgeattn's own kernels, and runs the tests that depend on how it was
# built, and some of blocks; build/test has all of blocks on those products. The last line sums up the cases.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

exec tools/test.sh --build without-xnnpack --suite quick --suite build -Dxnnpack=disabled \
  -Dtest_samples=true -Dbench=disabled
