#!/usr/bin/env bash
# Times edgeattn beside PyTorch, ONNX Runtime and OpenVINO: bench/peers/run.sh [OPTION…]; --help lists the options.
# Makes what is missing of the virtual environment build/peers/venv and of the build in build/peers-edgeattn.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# What a wrong command line ends with, or the help, comes before some GiB are installed.
said=$(python3 -B bench/peers/options.py "$@")
if [[ -n $said ]]; then
  echo "$said"
  exit
fi
venv=build/peers/venv
tools/venv.sh "$venv" bench/peers/requirements.txt 12
tools/build.sh peers-edgeattn --buildtype=release -Dtests=disabled
exec "$venv/bin/python" -B bench/peers/compare.py "$@"
