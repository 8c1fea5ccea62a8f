#!/usr/bin/env bash
# Makes the pictures of docs/ that README.md gives the commands of, with those commands, and replaces the committed ones.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/build.sh demo --buildtype=release -Dpng=enabled -Dtests=disabled -Dbench=disabled
python3 tests/pictures_test.py build/test/src/edgeattn png --keep
