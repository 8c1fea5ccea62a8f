#!/usr/bin/env bash
# Builds build/NAME, usually build/test, and runs every test: tools/test.sh [--quick] [--build NAME] [--suite SUITE]… [-DOPTION=VALUE]…
# --quick builds and runs what says in a minute whether the core is sound: a sample, with the best instruction set of the machine. SUITEs
# are those of tests/meson.build: only their tests run, and only what these need is built. The last line sums up the cases of all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  echo "usage: tools/test.sh [--quick] [--build NAME] [--suite SUITE]... [-DOPTION=VALUE]..." >&2
  exit 2
}

name=test
suites=()
options=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --quick) suites+=(--suite quick) ;;
    --build | --suite)
      [[ ${2:-} =~ ^[a-z0-9][a-z0-9-]*$ ]] || usage
      if [[ $1 == --build ]]; then name=$2; else suites+=(--suite "$2"); fi
      shift
      ;;
    -D?*=*) options+=("$1") ;;
    *) usage ;;
  esac
  shift
done

werror=false
if [[ ${CI:-} == true ]]; then werror=true; fi
# With suites chosen, meson test builds what they need.
only=() rebuild=(--no-rebuild)
if [[ ${#suites[@]} -gt 0 ]]; then only=(--) rebuild=(); fi
tools/build.sh "$name" --buildtype=release -Dtests=enabled -Dwerror=$werror "${options[@]}" "${only[@]}"
status=0
meson test -C "build/$name" "${rebuild[@]}" --print-errorlogs "${suites[@]}" || status=$?
python3 tools/sum_tests.py "build/$name/meson-logs/testlog.json" || status=1
exit "$status"
