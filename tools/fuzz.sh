#!/usr/bin/env bash
# Fuzzes every target for SECONDS, two at a time, with clang's libFuzzer and sanitizers, and compares the reader of weights files
# with the reference package on all files that this made: tools/fuzz.sh [SECONDS [TARGET…]]; 60 seconds and all targets of fuzz/.
# What is found goes on from the last time, in build/fuzzing. The last line sums up.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-60}
targets=("${@:2}")
[[ ${#targets[@]} -gt 0 ]] || targets=(safetensors plan tensor_views c_structs)
at_once=2
build=build/sanitize
work=build/fuzzing
venv=$work/venv
requirements=fuzz/requirements.txt

tools/sanitized.sh address -- write_seeds verdicts "${targets[@]/#/fuzz_}"
mkdir -p "$work/finds"

# fuzz TARGET: its exit code goes to a file, its last words to another.
fuzz() {
  local target=$1 corpus=$work/corpus/$1 status=0
  mkdir -p "$corpus"
  if [[ $target == safetensors ]]; then
    "$build/fuzz/write_seeds" "$corpus"
  else
    python3 fuzz/corpus.py unpack "fuzz/corpus/$target.txt" "$corpus"
  fi
  UBSAN_OPTIONS=print_stacktrace=1 "$build/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=25 -max_len=4096 \
    -print_final_stats=1 -artifact_prefix="$work/finds/$target-" "$corpus" > "$work/$target.log" 2>&1 || status=$?
  echo "$status" > "$work/$target.status"
}

for target in "${targets[@]}"; do
  while [[ $(jobs -rp | wc -l) -ge $at_once ]]; do wait -n || true; done
  fuzz "$target" &
done
wait

passed=0
failed=0
for target in "${targets[@]}"; do
  if [[ $(<"$work/$target.status") -eq 0 ]]; then
    passed=$((passed + 1))
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$target.log")
    echo "ok      $target: $executions executions, $(find "$work/corpus/$target" -type f | wc -l) inputs kept"
  else
    failed=$((failed + 1))
    echo "FAILED  $target: again with $build/fuzz/fuzz_$target $work/finds/$target-…"
    tail -n 60 "$work/$target.log"
  fi
done

# The copy of the requirements is made last, so an installation that was interrupted is taken up again.
if ! cmp -s "$requirements" "$venv/requirements.txt"; then
  python3 -c 'import ensurepip, venv' 2>/dev/null || tools/setup.sh python3-venv
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
  cp "$requirements" "$venv/requirements.txt"
fi
mkdir -p "$work/corpus/safetensors"
"$build/fuzz/write_seeds" "$work/corpus/safetensors"
if "$venv/bin/python" -B fuzz/differential.py "$build/fuzz/verdicts" "$work/corpus/safetensors"; then
  passed=$((passed + 1))
else
  failed=$((failed + 1))
fi
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
