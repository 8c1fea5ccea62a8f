#!/usr/bin/env bash
# Builds build/NAME, usually build/test, and runs every test: tools/test.sh [--build NAME] [MESON OPTION…]. The last line sums up
# the cases of all suites.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

name=test
if [[ ${1:-} == --build ]]; then
  name=$2
  shift 2
fi
werror=false
if [[ ${CI:-} == true ]]; then werror=true; fi
tools/build.sh "$name" --buildtype=release -Dtests=enabled -Dwerror=$werror "$@"
status=0
meson test -C "build/$name" --no-rebuild --print-errorlogs || status=$?
python3 tools/sum_tests.py "build/$name/meson-logs/testlog.json" || status=1
exit "$status"
