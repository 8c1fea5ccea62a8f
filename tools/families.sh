#!/usr/bin/env bash
# Writes tests/data/families.safetensors anew: attention blocks of real model families, with what their own modules give.
# Makes build/families with PyTorch and diffusers (some GiB) where it is missing. The tests need the file only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=build/families/venv
legacy=build/families/diffusers-0.14
requirements=tests/families/requirements.txt
# The copy of the requirements is made last, so an installation that was interrupted is taken up again.
if ! cmp -s "$requirements" build/families/requirements.txt; then
  python3 -c 'import ensurepip, venv' 2>/dev/null || tools/setup.sh python3-venv
  python3 -m venv "$venv"
  pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
  "${pip[@]}" --requirement "$requirements"
  # One file of it is read; it is never imported as a package.
  "${pip[@]}" --no-deps --target "$legacy" diffusers==0.14.0
  cp "$requirements" build/families/requirements.txt
fi
DIFFUSERS_0_14=$legacy "$venv/bin/python" -B tests/families/make.py tests/data/families.safetensors
