#!/usr/bin/env bash
# Sets up and compiles a tree with clang and sanitizers: build/sanitize with those of addresses, undefined behaviour and unsigned sums
# that wrap, or build/sanitize-thread with that of data races: tools/sanitized.sh address|thread [-- [TARGET…]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case ${1:-} in
  address) options=(sanitize -Db_sanitize=address,undefined -Dfuzz=enabled) ;;
  thread) options=(sanitize-thread -Db_sanitize=thread) ;;
  *)
    echo "usage: tools/sanitized.sh address|thread [-- [TARGET...]]" >&2
    exit 2
    ;;
esac
tools/setup.sh clang libclang-rt-dev
werror=false
if [[ ${CI:-} == true ]]; then werror=true; fi
# Kernels that cannot run here take a fifth of the time of compiling.
if ! grep -qw avx512vl /proc/cpuinfo && [[ $(uname -m) == x86_64 ]]; then options+=(-Davx512=disabled); fi
# Headers take most of the time, so ten files are compiled as one: names are unique within a program, in anonymous namespaces too.
# The runtime of the sanitizers is in programs alone, so shared libraries have undefined symbols.
CC=clang CXX=clang++ exec tools/build.sh "${options[@]}" --buildtype=debug --optimization=1 --unity=on -Dunity_size=10 \
  -Db_lundef=false -Dtests=enabled -Dbench=disabled -Dwerror=$werror "${@:2}"
