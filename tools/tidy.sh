#!/usr/bin/env bash
# Runs clang-tidy, with the checks of .clang-tidy, over src/ and arch/ as tools/sanitized.sh sets them up: many files as one, so that it
# reads headers once. The last line says how many files passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/setup.sh clang-tidy clang-tools
if [[ ! -f build/sanitize/compile_commands.json ]]; then tools/sanitized.sh --; fi
log=build/sanitize/tidy.log
status=0
run-clang-tidy -quiet -p build/sanitize "$PWD/build/sanitize/(src|arch)/.*" 2>/dev/null | sed 's/\x1b\[[0-9;]*m//g' > "$log" || status=$?
grep -E '(warning|error): ' "$log" | sort -u || true
# Of the sources that the unity files name.
files=$(cat build/sanitize/{src,arch}/*.p/*unity*.cpp | grep -c '^#include' || true)
failed=$(grep -E '(warning|error): ' "$log" | cut -d: -f1 | sort -u | wc -l || true)
if [[ $status -ne 0 && $failed -eq 0 ]]; then failed=1; fi
echo "$((files - failed)) passed, $failed failed"
[[ $failed -eq 0 && $files -gt 0 ]]
