#!/usr/bin/env bash
# Times edgeattn beside PyTorch, ONNX Runtime and OpenVINO: bench/peers/run.sh [OPTION…]; --help lists the options.
# Makes what is missing of the virtual environment build/peers/venv and of the build in build/peers-edgeattn.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

venv=build/peers/venv
requirements=bench/peers/requirements.txt
needed_gib=12

fail() {
  echo "bench/peers/run.sh: $*" >&2
  exit 1
}

# The copy of the requirements is made last, so an installation that was interrupted is taken up again.
if ! cmp -s "$requirements" "$venv/requirements.txt"; then
  mkdir -p build/peers
  free_gib=$(($(df --output=avail -k build/peers | tail -n 1) / 1024 / 1024))
  [[ $free_gib -ge $needed_gib ]] ||
    fail "the runtimes need up to $needed_gib GiB of disk while they are installed, build/peers has $free_gib"
  python3 -c 'import ensurepip, venv' 2>/dev/null || tools/setup.sh python3-venv
  echo "installing the runtimes into $venv (some GiB, once)"
  python3 -m venv "$venv" || fail "python3 cannot make a virtual environment in $venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements" ||
    fail "pip could not install what $requirements lists into $venv"
  cp "$requirements" "$venv/requirements.txt"
fi
tools/build.sh peers-edgeattn --buildtype=release -Dtests=disabled
exec "$venv/bin/python" bench/peers/compare.py "$@"
