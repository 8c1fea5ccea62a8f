#!/usr/bin/env bash
# Builds with clang, hardly optimised, with the address and undefined-behaviour sanitizers, and runs the tests; exhaustive ones
# take a sample. The last line sums up the cases.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/setup.sh clang libclang-rt-dev
werror=false
if [[ ${CI:-} == true ]]; then werror=true; fi
# The runtime of the sanitizers is in programs alone, so shared libraries have undefined symbols.
CC=clang CXX=clang++ tools/build.sh sanitize --buildtype=debug --optimization=1 -Db_sanitize=address,undefined -Db_lundef=false \
  -Dtests=enabled -Dbench=disabled -Dwerror=$werror
status=0
UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
  meson test -C build/sanitize --no-rebuild --print-errorlogs || status=$?
python3 tools/sum_tests.py build/sanitize/meson-logs/testlog.json || status=1
exit "$status"
