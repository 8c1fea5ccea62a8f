#!/usr/bin/env bash
# Counts which lines and branches of src/ the tests reach, and says where they do not: build/coverage/lines.txt and
# branches.txt. Fails below 95 % of the lines, and 90 % of the branches of plans and of weights files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/setup.sh gcovr
tools/build.sh coverage --buildtype=debug --optimization=0 --unity=on -Dunity_size=10 -Db_coverage=true \
  -Dtests=enabled -Dbench=disabled --
# Counts of earlier runs would add up. Kernels are not counted, so the best set of them is enough, without tests of their own.
find build/coverage -name '*.gcda' -delete
# Where a test forbids writing, the counts of that run are lost, without a word among those of the tool.
GCOV_ERROR_FILE=/dev/null meson test -C build/coverage --print-errorlogs --suite quick --suite build --suite tool --suite reduced --no-suite kernels --no-suite avx512

# Counted once, for all reports. What the tests themselves consist of is left out.
counts=build/coverage/counts.json
gcovr --root . --filter src/ --exclude-throw-branches --exclude-unreachable-branches --json "$counts" build/coverage/src

passed=0
failed=0
# reached NAME MEASURE LEAST PATTERN: whether enough of the files of src/ that match is reached.
reached() {
  local name=$1 measure=$2 least=$3 pattern=$4 options=()
  if [[ $measure == branch ]]; then options=(--branches); fi
  local report=build/coverage/$name.txt
  gcovr --root . --add-tracefile "$counts" --filter "src/$pattern" "${options[@]}" "--fail-under-$measure" "$least" > "$report" &&
    passed=$((passed + 1)) || failed=$((failed + 1))
  echo "$name: $(awk '/^TOTAL/ { print $4 " of " $2 }' "$report"), at least $least % wanted ($report)"
}
echo
reached lines line 95 ''
reached branches-of-plans branch 90 'plan/'
reached branches-of-weights branch 90 'io/(block_request|blocks|dtype|folded|foreign|header|key_style|mapping|qkv_order|safetensors)\.cc'
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
