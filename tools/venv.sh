#!/usr/bin/env bash
# Makes a virtual environment with what a requirements file lists, where it is missing or the list has changed:
# tools/venv.sh FOLDER REQUIREMENTS GIB, the last what the disk must have free for it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=$1
requirements=$2
needed_gib=$3

fail() {
  echo "tools/venv.sh: $*" >&2
  exit 1
}

# The copy of the requirements is made last, so an installation that was interrupted is taken up again.
if cmp -s "$requirements" "$venv/requirements.txt"; then exit 0; fi
mkdir -p "$(dirname "$venv")"
free_gib=$(($(df --output=avail -k "$(dirname "$venv")" | tail -n 1) / 1024 / 1024))
[[ $free_gib -ge $needed_gib ]] ||
  fail "$requirements needs up to $needed_gib GiB of disk while it is installed, $(dirname "$venv") has $free_gib"
python3 -c 'import ensurepip, venv' 2>/dev/null || tools/setup.sh python3-venv
echo "installing what $requirements lists into $venv (some GiB, once)"
python3 -m venv "$venv" || fail "python3 cannot make a virtual environment in $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements" ||
  fail "pip could not install what $requirements lists into $venv"
cp "$requirements" "$venv/requirements.txt"
