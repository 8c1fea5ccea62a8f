#!/usr/bin/env bash
# Draws ten digits with a diffusion UNet in PyTorch, with and without edgeattn: examples/digits/run.sh [OPTION…]; --help lists
# the options. Makes what is missing of the virtual environment build/digits/venv and of the build in build/digits-edgeattn.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

venv=build/digits/venv
tools/venv.sh "$venv" examples/digits/requirements.txt 12
tools/build.sh digits-edgeattn --buildtype=release -Ddefault_library=shared -Dio=disabled -Dtests=disabled -Dbench=disabled
exec "$venv/bin/python" -B examples/digits/sample.py --library build/digits-edgeattn/src/libedgeattn.so \
  --output build/digits/digits.png "$@"
