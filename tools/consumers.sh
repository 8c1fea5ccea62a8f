#!/usr/bin/env bash
# Installs edgeattn into empty roots below build/consumers, from Meson and from its Debian packages, and builds and runs the
# programs of examples/ against these: C with pkg-config, C++ with CMake and with Meson; a whole UNet has edgeattn as a subproject.
# Also compares exported symbols and the size of the static core. The last line sums up the checks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/checks.sh

tools/setup.sh
tools/setup.sh make cmake dpkg-dev mmdebstrap
blocks=$PWD/tests/data/digits-blocks.safetensors
activations=$PWD/tests/data/digits-activations.safetensors
most_core_bytes=$((300 * 1024))
work=$PWD/build/consumers
rm -rf "$work"
mkdir -p "$work"

# linked LINK PROGRAM…: whether programs need the shared libraries, or with --static do not.
linked() {
  local link=$1 program
  shift
  for program in "$@"; do
    if readelf --dynamic "$program" | grep -q 'NEEDED.*libedgeattn'; then [[ -z $link ]]; else [[ -n $link ]]; fi || return 1
  done
}

# The checks: `set -e` does not hold inside a condition, so each is one chain.
tools/deb.sh > "$work/packages" || { echo "0 passed, 1 failed"; exit 1; }
mapfile -t packages < "$work/packages"
multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
lib=usr/lib/$multiarch
DESTDIR=$work/root meson install -C build/install --no-rebuild --quiet >&2
cp -r "$work/root" "$work/static-root"
rm "$work/static-root/$lib"/*.so*
for package in "${packages[@]}"; do dpkg-deb --extract "$package" "$work/deb-root"; done

# A Debian that has nothing but the packages and what they depend on, in which the tool runs. While it is downloaded, the rest goes on.
empty_debian() {
  mmdebstrap --quiet --variant=minbase --format=null \
    --customize-hook='mkdir "$1/packages" && cp build/deb/*.deb tests/data/digits-*.safetensors "$1/packages"' \
    --chrooted-customize-hook='apt-get install -q -y --no-install-recommends /packages/*.deb' \
    --chrooted-customize-hook='cd /packages && edgeattn run --weights digits-blocks.safetensors --prefix am. \
      --input digits-activations.safetensors --tensor am.step100.input --reference digits-activations.safetensors \
      --reference-tensor am.step100.output --output y.safetensors' \
    "$(. /etc/os-release && echo "$VERSION_CODENAME")" /dev/null
}
empty_debian > "$work/empty-debian" 2>&1 &
empty_debian=$!

c_consumer() {
  local root=$1 place=$work/$2 link=$3
  export PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=$root/$lib/pkgconfig LD_LIBRARY_PATH=$root/$lib
  export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
  cp -r examples/c "$place" && make -C "$place" CFLAGS="-std=c11 -O2 -Wall -Wextra -Werror" LINK="$link" &&
    linked "$link" "$place/core" "$place/block" && "$place/core" &&
    "$place/block" "$blocks" a0. "$activations" a0.step100.input a0.step100.output &&
    "$place/block" "$blocks" am. "$activations" am.step0.input am.step0.output
}
cmake_consumer() {
  local root=$1 place=$work/$2 link=$3
  export LD_LIBRARY_PATH=$root/$lib
  cmake -S examples/cmake -B "$place" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$root/usr" \
    -DCMAKE_LIBRARY_ARCHITECTURE="$multiarch" ${link:+-Dedgeattn_USE_STATIC_LIBS=ON} && cmake --build "$place" &&
    linked "$link" "$place/blocks" && "$place/blocks" "$blocks" "$activations" step199
}
meson_consumer() {
  local root=$1
  export PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=$root/$lib/pkgconfig LD_LIBRARY_PATH=$root/$lib
  cp -r examples/meson "$work/meson" && rm -rf "$work/meson/subprojects" &&
    meson setup "$work/meson/build" "$work/meson" --buildtype=release && meson test -C "$work/meson/build"
}
symbols() { python3 tests/symbols_test.py nm "src/package/$1.symbols" "$work/root/$lib/lib$1.so"; }
# The static core in a program that uses all of it: what the stripped program has more than an empty one.
core_size() {
  local with without
  echo 'int main(void) { return 0; }' > "$work/empty.c" && cc -O2 "$work/empty.c" -o "$work/empty" -Wl,--no-as-needed -lXNNPACK -lpthreadpool &&
    cp "$work/c-static/core" "$work/core" && strip "$work/empty" "$work/core" &&
    with=$(stat -c %s "$work/core") && without=$(stat -c %s "$work/empty") &&
    echo "$((with - without)) bytes of at most $most_core_bytes" && [[ $((with - without)) -le $most_core_bytes ]]
}
tool_of_package() {
  LD_LIBRARY_PATH=$work/deb-root/$lib "$work/deb-root/usr/bin/edgeattn" run --weights "$blocks" --prefix am. --input "$activations" \
    --tensor am.step100.input --reference "$activations" --reference-tensor am.step100.output --output "$work/y.safetensors" &&
    LD_LIBRARY_PATH=$work/deb-root/$lib "$work/deb-root/usr/bin/edgeattn" run --weights "$blocks" --prefix am. \
      --input "$activations" --tensor am.step100.input --attention-map 3,4 -o "$work/map.png" &&
    LD_LIBRARY_PATH=$work/deb-root/$lib "$work/deb-root/usr/bin/edgeattn" --version
}

check 'C, pkg-config, shared' c_consumer "$work/root" c-shared ''
check 'C, pkg-config, static' c_consumer "$work/static-root" c-static --static
check 'C, pkg-config, Debian package' c_consumer "$work/deb-root" c-deb ''
check 'C++, CMake, shared' cmake_consumer "$work/root" cmake-shared ''
check 'C++, CMake, static' cmake_consumer "$work/root" cmake-static --static
check 'C++, CMake, Debian package' cmake_consumer "$work/deb-root" cmake-deb ''
check 'C++, Meson, pkg-config' meson_consumer "$work/root"
check 'C++, Meson subproject: a whole UNet' examples/sampler/run.sh
check 'tool of the Debian package' tool_of_package
check 'symbols of edgeattn' symbols edgeattn
check 'symbols of edgeattn_io' symbols edgeattn_io
check 'size of the static core' core_size
ended=0
wait "$empty_debian" || ended=$?
check 'the packages in an empty Debian' bash -c 'cat "$0"; exit "$1"' "$work/empty-debian" "$ended"

sum_checks
