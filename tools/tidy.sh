#!/usr/bin/env bash
# Runs clang-tidy, with the checks of .clang-tidy, over src/ and arch/, many files as one, so that it reads headers once. Nothing is
# compiled. The last line says how many files passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/setup.sh clang clang-tidy clang-tools
CC=clang CXX=clang++ tools/build.sh tidy --buildtype=debug --unity=on -Dunity_size=10 -Dtests=disabled -Dbench=disabled --
log=build/tidy/tidy.log
status=0
run-clang-tidy -quiet -p build/tidy "$PWD/build/tidy/(src|arch)/.*" 2>/dev/null | sed 's/\x1b\[[0-9;]*m//g' > "$log" || status=$?
grep -E '(warning|error): ' "$log" | sort -u || true
# Of the sources that the unity files name.
files=$(cat build/tidy/{src,arch}/*.p/*unity*.cpp | grep -c '^#include' || true)
failed=$(grep -E '(warning|error): ' "$log" | cut -d: -f1 | sort -u | wc -l || true)
if [[ $status -ne 0 && $failed -eq 0 ]]; then failed=1; fi
echo "$((files - failed)) passed, $failed failed"
[[ $failed -eq 0 && $files -gt 0 ]]
