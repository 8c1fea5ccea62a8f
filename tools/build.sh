#!/usr/bin/env bash
# Sets up and compiles build/NAME after installing what is missing: tools/build.sh NAME [MESON OPTION…] [-- [TARGET…]]
# After --, it compiles the TARGETs only, if any.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

name=$1
shift
options=()
while [[ $# -gt 0 && $1 != -- ]]; do
  options+=("$1")
  shift
done
tools/setup.sh
# A tree that this meson cannot take over is made anew.
if [[ ! -f build/$name/build.ninja ]] || ! meson setup --reconfigure "build/$name" "${options[@]}" >/dev/null 2>&1; then
  rm -rf "build/$name"
  meson setup "build/$name" "${options[@]}"
fi
if [[ $# -eq 1 ]]; then exit; fi
meson compile -C "build/$name" "${@:2}"
