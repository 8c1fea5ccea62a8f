#!/usr/bin/env bash
# Shows that the tests find what they are there for: applies each patch of tests/planted to a copy of the tree, builds what it
# changes, sees the test that its first lines name fail, and takes it back: tools/planted.sh [PATCH…]. Starts from build/test as
# tools/test.sh leaves it, whose programs must not fail. The last line sums up: a fault that is found has passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/setup.sh patch
if [[ ! -x build/test/tests/isa_tests ]]; then
  echo "build/test is not there: run tools/test.sh first" >&2
  exit 1
fi
patches=("$@")
[[ ${#patches[@]} -gt 0 ]] || patches=(tests/planted/*.patch)
# The build knows its sources by ../../, so it goes on in a copy where only what a patch touches is newer.
work=build/planted
rm -rf "$work"
mkdir -p "$work/build"
tar --exclude=./build --exclude=./.git -cf - . | tar -xf - -C "$work"
cp -a build/test "$work/build/test"

# The value of a line "NAME: VALUE" before a patch begins.
field() { sed -n "/^--- /q; s/^$1: //p" "$2"; }

passed=0
failed=0
for patch in "${patches[@]}"; do
  name=$(basename "$patch" .patch)
  read -r program arguments <<<"$(field Test "$patch")"
  read -ra arguments <<<"$arguments"
  # run NAME [FOLDER]: the program of the copy, or of another tree.
  run() { (cd "${2:-$work}" && timeout 300 "build/test/tests/$program" "${arguments[@]}" --data=tests/data) > "$work/$name.$1" 2>&1; }
  build() { ninja -C "$work/build/test" "tests/$program" > "$work/$name.build" 2>&1; }
  verdict='is found'
  sound=0
  run sound . || sound=$?
  if [[ $sound -eq 77 ]]; then
    verdict='needs what this processor lacks'
  elif [[ $sound -ne 0 ]]; then
    verdict="is NOT TRIED: $program fails without it ($work/$name.sound)"
  elif ! patch --quiet -p1 -d "$work" < "$patch" || ! build; then
    verdict="is NOT TRIED: it does not fit the sources any more ($work/$name.build)"
  elif run planted; then
    verdict="is NOT FOUND by $program ${arguments[*]}"
  fi
  if [[ $sound -eq 0 ]]; then patch --quiet --reverse --force -p1 -d "$work" < "$patch" || true; fi
  echo "$name: $(field Fault "$patch"): $verdict"
  case $verdict in
    *NOT*) failed=$((failed + 1)) ;;
    'is found') passed=$((passed + 1)) ;;
  esac
done
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
