#!/usr/bin/env bash
# Builds build/without-xnnpack, where all products are those of edgeattn's own kernels, and runs every test, exhaustive ones by a
# sample; the last line sums up their cases.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

exec tools/test.sh --build without-xnnpack -Dxnnpack=disabled -Dtest_samples=true -Dbench=disabled
