#!/usr/bin/env bash
# Installs what is missing of the build's Debian packages, or of those named: tools/setup.sh [--bench | PACKAGE…]
# --bench adds those of the benchmarks. With nothing missing it uses neither apt nor sudo.
set -euo pipefail

# A tool may come from elsewhere than from its package; a library is looked for as a package.
declare -A tool_of=([g++]=g++ [meson]=meson [ninja-build]=ninja [pkg-config]=pkg-config [python3]=python3
                    [mmdebstrap]=mmdebstrap [make]=make [cmake]=cmake [dpkg-dev]=dpkg-shlibdeps)
wanted=(g++ meson ninja-build pkg-config python3 libxnnpack-dev libpthreadpool-dev nlohmann-json3-dev libcli11-dev
        doctest-dev)
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
if [[ $(id -u) -eq 0 ]]; then
  as_root=(env)
elif command -v sudo >/dev/null; then
  as_root=(sudo env)
else
  echo "missing packages, and neither root nor sudo to install them: apt-get update && $line" >&2
  exit 1
fi
echo "installing ${missing[*]}"
"${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get update -q
"${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
