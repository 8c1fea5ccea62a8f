#!/usr/bin/env bash
# Sets up and compiles build/sanitize, with clang and the sanitizers of addresses and undefined behaviour, for tools/sanitize.sh,
# tools/fuzz.sh and tools/tidy.sh: tools/sanitized.sh [-- [TARGET…]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/setup.sh clang libclang-rt-dev
werror=false
if [[ ${CI:-} == true ]]; then werror=true; fi
# Headers take most of the time, so ten files are compiled as one: names are unique within a program, in anonymous namespaces too.
# The runtime of the sanitizers is in programs alone, so shared libraries have undefined symbols.
CC=clang CXX=clang++ exec tools/build.sh sanitize --buildtype=debug --optimization=1 --unity=on -Dunity_size=10 \
  -Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=enabled -Dtests=enabled -Dbench=disabled -Dwerror=$werror "$@"
