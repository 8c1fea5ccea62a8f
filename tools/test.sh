#!/usr/bin/env bash
# Builds build/test and runs every test: tools/test.sh [MESON OPTION…]. The last line sums up the cases of all suites.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

werror=false
if [[ ${CI:-} == true ]]; then werror=true; fi
tools/build.sh test --buildtype=release -Dtests=enabled -Dwerror=$werror "$@"
status=0
meson test -C build/test --no-rebuild --print-errorlogs || status=$?
python3 tools/sum_tests.py build/test/meson-logs/testlog.json || status=1
exit "$status"
