#!/usr/bin/env bash
# Unpacks Debian's XNNPACK, pthreadpool, cpuinfo and C++ libraries of another architecture: tools/sysroot.sh DEBARCH FOLDER
# apt works below FOLDER.apt with the host's sources; the host's packages and architectures stay as they are.
set -euo pipefail

arch=$1 sysroot=$2
packages=(libxnnpack-dev libpthreadpool-dev libcpuinfo-dev libstdc++6)
stamp=$sysroot/made-with
[[ ! -f $stamp || $(<"$stamp") != "${packages[*]}" ]] || exit 0

mkdir -p "$sysroot.apt"
apt=$(cd "$sysroot.apt" && pwd)
mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
: > "$apt/status"
options=(-q -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "Dir::State=$apt/state"
         -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache" -o "APT::Sandbox::User=" -o Acquire::Retries=3
         -o APT::Get::List-Cleanup=false -o Acquire::Languages=none)
rm -f "$apt"/cache/archives/*.deb
log=$apt/log
if ! apt-get "${options[@]}" update > "$log" 2>&1; then
  echo "not all package lists of $arch are to be had; going on with the others ($log)" >&2
fi
if ! apt-get "${options[@]}" -y --no-install-recommends --download-only install "${packages[@]}" >> "$log" 2>&1; then
  echo "no sysroot: apt-get cannot download ${packages[*]} for $arch ($log);" \
       "with an apt source that has them, run: tools/sysroot.sh $arch $sysroot" >&2
  exit 1
fi
rm -rf "$sysroot"
mkdir -p "$sysroot"
for package in "$apt"/cache/archives/*.deb; do dpkg -x "$package" "$sysroot"; done
echo "${packages[*]}" > "$stamp"
