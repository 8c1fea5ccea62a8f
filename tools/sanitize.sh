#!/usr/bin/env bash
# Builds with clang, hardly optimised, with sanitizers, and runs tests, of which exhaustive ones take a sample: tools/sanitize.sh
# [address|thread]. address (the default) is those of addresses, undefined behaviour and unsigned sums that wrap, with all tests; thread
# is that of data races, with those of threads. The last line sums up the cases.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case ${1:-address} in
  address)
    build=sanitize suite=()
    tools/sanitized.sh address
    ;;
  thread)
    build=sanitize-thread suite=(--suite threads)
    tools/sanitized.sh thread -- threads_tests
    ;;
  *)
    echo "tools/sanitize.sh: expected address or thread, given '$1'" >&2
    exit 2
    ;;
esac
status=0
UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1 \
  meson test -C "build/$build" "${suite[@]}" --no-rebuild --print-errorlogs || status=$?
python3 tools/sum_tests.py "build/$build/meson-logs/testlog.json" || status=1
exit "$status"
