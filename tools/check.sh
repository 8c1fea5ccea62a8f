#!/usr/bin/env bash
# Proves that it does not break (docs/reliability.md): the tests, faults planted to see that the tests find them, the tests with
# sanitizers, clang-tidy, fuzzing, and coverage: tools/check.sh [--fuzz SECONDS] [--specs COUNT]. SECONDS are for each target, usually
# 60; COUNT random specs are drawn beyond those of the tests, from a seed that is printed. The last line sums up.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/suites.sh

usage() {
  echo "usage: tools/check.sh [--fuzz SECONDS] [--specs COUNT]" >&2
  exit 2
}

seconds=60
specs=0
while [[ $# -gt 0 ]]; do
  [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || usage
  case $1 in
    --fuzz) seconds=$2 ;;
    --specs) specs=$2 ;;
    *) usage ;;
  esac
  shift 2
done

more_specs() {
  if build/test/tests/random_specs --cases="$specs" --seed="$RANDOM"; then
    echo "1 passed, 0 failed"
  else
    echo "0 passed, 1 failed"
  fi
}

suite tools/test.sh
if [[ $specs -gt 0 ]]; then suite more_specs; fi
suite tools/planted.sh
suite tools/sanitize.sh address
suite tools/sanitize.sh thread
suite tools/tidy.sh
suite tools/fuzz.sh "$seconds"
suite tools/coverage.sh
sum_up
