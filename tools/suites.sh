# Sourced by what runs suites one after another. `suite COMMAND…` runs one that ends with "N passed, N failed" and adds that up; one
# that stops before counts as one failure. `sum_up` prints the sum as the last line, and fails if anything did.
suites_log=$(mktemp)
trap 'rm -f "$suites_log"' EXIT
suites_passed=0
suites_failed=0

suite() {
  echo
  echo "== $*"
  local status=0 sum passed failed start=$SECONDS
  "$@" 2>&1 | tee "$suites_log" || status=$?
  sum=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$suites_log" | tail -n 1) || sum="0 passed, 0 failed"
  read -r passed _ failed _ <<<"$sum"
  if [[ $status -ne 0 && $failed -eq 0 ]]; then failed=1; fi
  suites_passed=$((suites_passed + passed))
  suites_failed=$((suites_failed + failed))
  echo "== $* took $((SECONDS - start)) s"
}

sum_up() {
  echo
  echo "$suites_passed passed, $suites_failed failed"
  [[ $suites_failed -eq 0 ]]
}
