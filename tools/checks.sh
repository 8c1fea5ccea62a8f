# Sourced by scripts that make checks. `check NAME COMMAND…` runs one, whose output is shown whole if it fails and else by its last line;
# it runs in a subshell, in which `set -e` does not hold. `sum_checks` prints "N passed, N failed", and fails if anything did.
checks_passed=0
checks_failed=0

check() {
  local name=$1 output status=0
  shift
  output=$("$@" 2>&1) || status=$?
  if [[ $status -eq 0 ]]; then
    checks_passed=$((checks_passed + 1))
    echo "ok      $name: $(tail -n 1 <<<"$output")"
  else
    checks_failed=$((checks_failed + 1))
    printf 'FAILED  %s, exit code %s\n%s\n' "$name" "$status" "$output"
  fi
}

sum_checks() {
  echo "$checks_passed passed, $checks_failed failed"
  [[ $checks_failed -eq 0 ]]
}
