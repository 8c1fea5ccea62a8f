#!/usr/bin/env bash
# Builds for another processor, tests under emulation, and packs edgeattn-VERSION-ARCH.tar.gz:
# tools/cross.sh ARCH [--without-xnnpack] [CORE…]
# ARCH is aarch64, armhf or x86_64; all is made below build/cross/ARCH. The tests run once for every emulated core; with
# CORE given, for these alone. The last line sums up the cases of all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

arch=${1:-}
case $arch in
  aarch64) triplet=aarch64-linux-gnu debian=arm64 qemu=qemu-aarch64 cores=(cortex-a72 max cortex-a53 cortex-a76) ;;
  armhf) triplet=arm-linux-gnueabihf debian=armhf qemu=qemu-arm cores=(cortex-a15 cortex-a53) ;;
  x86_64) triplet=x86_64-linux-gnu debian=amd64 qemu=qemu-x86_64 cores=(Nehalem Haswell EPYC) ;;
  *) echo "usage: tools/cross.sh aarch64|armhf|x86_64 [--without-xnnpack] [CORE...]" >&2; exit 2 ;;
esac
shift
build=build xnnpack=enabled
if [[ ${1:-} == --without-xnnpack ]]; then
  build=build-without-xnnpack xnnpack=disabled
  shift
fi
if [[ $# -gt 0 ]]; then cores=("$@"); fi

tools/setup.sh "g++-${triplet/_/-}" qemu-user meson ninja-build pkg-config python3 nlohmann-json3-dev libcli11-dev doctest-dev
base=build/cross/$arch
sysroot=$PWD/$base/sysroot
tools/sysroot.sh "$debian" "$sysroot"
printf "[constants]\nsysroot = '%s'\n" "$sysroot" > "$base/sysroot.ini"

# QEMU takes the processor and the root of the target's files from these. A 32-bit program runs on the 64-bit cores too,
# of which QEMU has no 32-bit mode: Cortex-A15 has the same instructions.
emulate() {
  python3 cross/cores.py "$1" "$sysroot" "$base/cores/$1"
  export QEMU_LD_PREFIX=$PWD/$base/cores/$1 EDGEATTN_CORE=$1 QEMU_CPU=$1
  if [[ $arch == armhf ]]; then QEMU_CPU=cortex-a15; fi
}

emulate "${cores[0]}"
werror=false
if [[ ${CI:-} == true ]]; then werror=true; fi
tools/build.sh "cross/$arch/$build" --cross-file "$base/sysroot.ini" --cross-file "cross/$triplet.ini" \
  --buildtype=release --prefix=/usr/local --libdir=lib -Dpkgconfig.relocatable=true \
  -Dxnnpack=$xnnpack -Dtests=enabled -Dbench=disabled -Dwerror=$werror

# What depends on the core are the products of XNNPACK, so the other cores have the tests of blocks on these alone.
# The kernels of reduced precision run on those that have the instructions: QEMU's `max`, which is no board's, has all.
# For x86_64 that goes for the first core too: all else runs natively where this does.
logs=()
status=0
suites=()
if [[ $arch == x86_64 ]]; then suites=(--suite core --no-suite reduced); fi
for core in "${cores[@]}"; do
  echo
  echo "$arch as $core:"
  emulate "$core"
  if [[ $core == max ]]; then suites=(--suite reduced --no-suite scalar); fi
  meson test -C "$base/$build" --no-rebuild --print-errorlogs --timeout-multiplier 4 --logbase "$core" "${suites[@]}" || status=$?
  logs+=("$base/$build/meson-logs/$core.json")
  suites=(--suite core --suite reduced --no-suite scalar --no-suite builtin)
done

version=$(meson introspect --projectinfo "$base/$build" | python3 -c 'import json, sys; print(json.load(sys.stdin)["version"])')
name=edgeattn-$version-$arch${build#build}
rm -rf "$base/$name"
DESTDIR=$PWD/$base/$name meson install -C "$base/$build" --no-rebuild --strip >/dev/null
mv "$base/$name/usr/local"/* "$base/$name"
rm -r "$base/$name/usr"
cp LICENSE "$base/$name"
tar -C "$base" --owner=0 --group=0 -czf "$base/$name.tar.gz" "$name"
emulate "${cores[0]}"
echo
echo "packed $base/$name.tar.gz, whose tool runs:"
blocks=tests/data/digits-blocks.safetensors activations=tests/data/digits-activations.safetensors
"$qemu" "$base/$name/bin/edgeattn" run --weights "$blocks" --prefix am. --output /dev/null \
  --input "$activations" --tensor am.step0.input --reference "$activations" --reference-tensor am.step0.output || status=1
echo
python3 tools/sum_tests.py "${logs[@]}" || status=1
exit "$status"
