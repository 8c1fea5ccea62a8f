#!/usr/bin/env bash
# Proves that it does not break (docs/reliability.md): the tests, the same with sanitizers, fuzzing, clang-tidy, coverage, and faults
# planted to see that the tests find them: tools/check.sh [--fuzz SECONDS]; 60 seconds a target. The last line sums up.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/suites.sh

seconds=60
if [[ $# -eq 2 && $1 == --fuzz && $2 =~ ^[1-9][0-9]*$ ]]; then
  seconds=$2
elif [[ $# -gt 0 ]]; then
  echo "usage: tools/check.sh [--fuzz SECONDS]" >&2
  exit 2
fi

suite tools/test.sh
suite tools/planted.sh
suite tools/sanitize.sh address
suite tools/sanitize.sh thread
suite tools/tidy.sh
suite tools/fuzz.sh "$seconds"
suite tools/coverage.sh
sum_up
