#!/usr/bin/env bash
# Installs what is missing of the build's Debian packages, or of those named: tools/setup.sh [--bench | PACKAGE…]
# --bench adds those of the benchmarks. With nothing missing it uses neither apt nor sudo.
set -euo pipefail

# A tool may come from elsewhere than from its package; a library is looked for as a package.
declare -A tool_of=([g++]=g++ [meson]=meson [ninja-build]=ninja [pkg-config]=pkg-config [python3]=python3
                     [mmdebstrap]=mmdebstrap [make]=make [cmake]=cmake [dpkg-dev]=dpkg-shlibdeps [qemu-user]=qemu-aarch64
                     [llvm-19]=llvm-mca-19 [clang]=clang++ [g++-aarch64-linux-gnu]=aarch64-linux-gnu-g++
                     [g++-arm-linux-gnueabihf]=arm-linux-gnueabihf-g++ [g++-x86-64-linux-gnu]=x86_64-linux-gnu-g++)
wanted=(g++ meson ninja-build pkg-config python3 libxnnpack-dev libpthreadpool-dev nlohmann-json3-dev libcli11-dev
        libpng-dev doctest-dev)
case ${1:-} in
  '') ;;
  --bench) wanted+=(libbenchmark-dev) ;;
  *) wanted=("$@") ;;
esac

present() {
  if [[ -n ${tool_of[$1]:-} ]]; then
    command -v "${tool_of[$1]}" >/dev/null
  else
    dpkg-query --show --showformat='${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
  fi
}

missing=()
for package in "${wanted[@]}"; do
  present "$package" || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

line="apt-get install -y --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null; then
  echo "missing packages, and no apt-get to install them: ${missing[*]}" >&2
  exit 1
elif [[ $(id -u) -eq 0 ]]; then
  as_root=(env)
elif command -v sudo >/dev/null; then
  as_root=(sudo env)
else
  echo "missing packages, and neither root nor sudo to install them: apt-get update && $line" >&2
  exit 1
fi
echo "installing ${missing[*]}"
apt() { "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get "$1" -q "${@:2}"; }
if ! apt update || ! apt install -y --no-install-recommends "${missing[@]}"; then
  echo "missing packages that could not be installed: ${missing[*]}" >&2
  exit 1
fi
