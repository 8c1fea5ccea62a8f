#!/usr/bin/env bash
# Builds build/without-xnnpack, where all products are those of edgeattn's own kernels, and runs every test, exhaustive ones by a
# sample; the last line sums up their cases.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

werror=false
if [[ ${CI:-} == true ]]; then werror=true; fi
tools/build.sh without-xnnpack --buildtype=release -Dxnnpack=disabled -Dtest_samples=true -Dtests=enabled -Dbench=disabled -Dwerror=$werror
status=0
meson test -C build/without-xnnpack --no-rebuild --print-errorlogs || status=$?
python3 tools/sum_tests.py build/without-xnnpack/meson-logs/testlog.json || status=1
exit "$status"
