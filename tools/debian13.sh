#!/usr/bin/env bash
# Builds and tests in a Debian 13 root of its own what depends on that release's XNNPACK and compiler, with samples. The
# root is made with mmdebstrap, which needs root rights, and is kept in build/debian13 until the list of packages changes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $(id -u) -ne 0 ]]; then
  if command -v sudo >/dev/null; then exec sudo --preserve-env=CI "$PWD/tools/debian13.sh" "$@"; fi
  echo "tools/debian13.sh needs root or sudo, to make a Debian 13 root and to run in it" >&2
  exit 1
fi

packages=g++,meson,ninja-build,pkg-config,python3,libxnnpack-dev,libpthreadpool-dev
packages+=,doctest-dev,nlohmann-json3-dev,libcli11-dev,libpng-dev
root=build/debian13/root
stamp=$root/made-with
if [[ ! -f $stamp || $(<"$stamp") != "$packages" ]]; then
  tools/setup.sh mmdebstrap
  rm -rf "$root" "$root.new"
  mkdir -p build/debian13
  mmdebstrap --variant=minbase --include="$packages" trixie "$root.new"
  echo "$packages" > "$root.new/made-with"
  mv "$root.new" "$root"
fi

source=$root/edgeattn
rm -rf "$source"
mkdir "$source"
tar --exclude=./build --exclude='./build-*' --exclude=./.git -cf - . | tar -xf - -C "$source" --no-same-owner

# cpuinfo, in XNNPACK, reads /proc and /sys. Mounts of a namespace of its own end with it.
exec unshare --mount --fork -- bash -euc '
  mount --rbind /proc "$0/proc"
  mount --rbind /sys "$0/sys"
  exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 CI="$1" /edgeattn/tools/test.sh \
    --suite quick --suite build --suite core -Dtest_samples=true
' "$root" "${CI:-}"
