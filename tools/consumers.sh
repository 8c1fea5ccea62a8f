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
# finds ARGUMENTS EXPECTED [CMAKE OPTION…]: what find_package with these arguments says, a pattern of its include folder or of the
# message that it refuses with.
finds() {
  local arguments=$1 expected=$2 place=$work/find
  shift 2
  rm -rf "$place"
  mkdir "$place"
  cat > "$place/CMakeLists.txt" <<EOF
cmake_minimum_required(VERSION 3.19)
project(find CXX)
find_package(edgeattn $arguments CONFIG REQUIRED)
get_target_property(folder edgeattn::edgeattn INTERFACE_INCLUDE_DIRECTORIES)
message(STATUS "found in \${folder}.")
EOF
  cmake -S "$place" -B "$place/build" "$@" > "$place/log" 2>&1
  grep -qE "$expected" "$place/log" || { cat "$place/log"; return 1; }
}
# Roots in which folders are links, as /lib is one to usr/lib: the headers are found whatever the way.
cmake_links() {
  local links=$work/links
  local nothing=$links/nothing/lib/$multiarch/cmake/edgeattn
  mkdir -p "$links/merged" "$links/opt" "$nothing" && cp "$work/root/$lib/cmake/edgeattn/"* "$nothing" && cp -r "$work/root/usr" "$links/merged/usr" && ln -s usr/lib "$links/merged/lib" &&
    ln -s "$work/root/usr" "$links/whole" && cp -r "$work/root/usr/include" "$links/opt" && ln -s "$work/root/usr/lib" "$links/opt/lib" &&
    finds "" 'found in .*/merged/usr/include\.' -DCMAKE_PREFIX_PATH="$links/merged" -DCMAKE_LIBRARY_ARCHITECTURE="$multiarch" &&
    finds "" 'found in .*/merged/usr/include\.' -Dedgeattn_DIR="$links/merged/lib/$multiarch/cmake/edgeattn" &&
    finds "" 'found in .*/whole/include\.' -Dedgeattn_DIR="$links/whole/lib/$multiarch/cmake/edgeattn" &&
    finds "" 'found in .*/opt/include\.' -Dedgeattn_DIR="$links/opt/lib/$multiarch/cmake/edgeattn" &&
    finds "" 'no edgeattn/edgeattn\.h in( |$)' -Dedgeattn_DIR="$nothing" && echo 'five ways'
}
cmake_requests() {
  local there=(-DCMAKE_PREFIX_PATH="$work/root/usr" -DCMAKE_LIBRARY_ARCHITECTURE="$multiarch") request version
  version=$(sed -n "s/^ *version: '\(.*\)',/\1/p" meson.build)
  for request in "$version" "$version EXACT" "0.1...<1" "0.0.1...$version" 'COMPONENTS edgeattn' 'COMPONENTS edgeattn_io' \
    'OPTIONAL_COMPONENTS tensors'; do
    finds "$request" 'found in ' "${there[@]}" || return 1
  done
  for request in 0.99 1 "0.0.1...<$version" 0.99...0.999 1...2 0.0.1...0.0.9; do
    finds "$request" 'compatible with requested' "${there[@]}" || return 1
  done
  finds '0.0.1 EXACT' 'matches requested' "${there[@]}" || return 1
  for request in 'COMPONENTS tensors' 'COMPONENTS edgeattn io' 'COMPONENTS edgeattn_io.so'; do
    finds "$request" "no component '" "${there[@]}" || return 1
  done
  echo 'seven versions and components are found, ten refused'
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
# configures PATTERN MESON_OPTION…: what meson setup says, a pattern of its summary, or of the error that it refuses with.
configures() {
  local pattern=$1
  shift
  rm -rf "$work/configured"
  meson setup "$work/configured" -Dtests=disabled -Dbench=disabled "$@" > "$work/configured.log" 2>&1
  tr -s ' \n' ' ' < "$work/configured.log" | grep -qE "$pattern" || { cat "$work/configured.log"; return 1; }
}
# An XNNPACK whose functions are those of another year is left out, unless it is demanded.
unknown_xnnpack() {
  local year=$work/another-year change xnn=xnn_create_fully_connected_nc_f32
  mkdir -p "$year"
  for change in "s/$xnn(/${xnn}_of_another_year(/" "/^enum xnn_status $xnn(/,/;/s/size_t input_channels,/size_t groups, &/" \
    "/^enum xnn_status $xnn(/,/;/s/uint32_t flags,/uint64_t flags,/"; do
    sed "$change" /usr/include/xnnpack.h > "$year/xnnpack.h"
    cmp -s "$year/xnnpack.h" /usr/include/xnnpack.h && { echo "nothing to change: $change"; return 1; }
    CPPFLAGS=-I$year configures 'WARNING: this XNNPACK has neither .* XNNPACK API : none' &&
      CPPFLAGS=-I$year configures 'ERROR: .*this XNNPACK has neither .*-Dxnnpack=disabled' -Dxnnpack=enabled || return 1
  done
  echo 'three kinds of another XNNPACK'
}
optional_parts() {
  configures 'edgeattn_io : YES tool : NO' -Dcli=disabled && configures 'edgeattn_io : NO tool : NO' -Dio=disabled &&
    configures 'edgeattn_io : YES tool : YES' -Dio=enabled && configures 'the tool needs edgeattn_io' -Dio=disabled -Dcli=enabled &&
    echo 'edgeattn_io without the tool, and without either'
}
# C libraries that load libraries late, such as musl, have no room for variables of each thread.
no_thread_storage() {
  local library
  for library in edgeattn edgeattn_io; do
    ! readelf --segments --wide "$work/root/$lib/lib$library.so" | grep -w TLS || return 1
  done
  echo 'none in two libraries'
}
tool_of_package() {
  LD_LIBRARY_PATH=$work/deb-root/$lib "$work/deb-root/usr/bin/edgeattn" run --weights "$blocks" --prefix am. --input "$activations" \
    --tensor am.step100.input --reference "$activations" --reference-tensor am.step100.output --output "$work/y.safetensors" &&
    LD_LIBRARY_PATH=$work/deb-root/$lib "$work/deb-root/usr/bin/edgeattn" run --weights "$blocks" --prefix am. \
      --input "$activations" --tensor am.step100.input --attention-map 3,4 -o "$work/map.png" &&
    LD_LIBRARY_PATH=$work/deb-root/$lib "$work/deb-root/usr/bin/edgeattn" --version
}

check 'C, pkg-config, shared' c_consumer "$work/root" c-shared ''
check 'C, pkg-config, static' c_consumer "$work/root" c-static --static
check 'C, pkg-config, Debian package' c_consumer "$work/deb-root" c-deb ''
check 'C++, CMake, shared' cmake_consumer "$work/root" cmake-shared ''
check 'C++, CMake, static' cmake_consumer "$work/root" cmake-static --static
check 'C++, CMake, Debian package' cmake_consumer "$work/deb-root" cmake-deb ''
check 'CMake, through links' cmake_links
check 'CMake, versions and components' cmake_requests
check 'C++, Meson, pkg-config' meson_consumer "$work/root"
check 'C++, Meson subproject: a whole UNet' examples/sampler/run.sh
check 'tool of the Debian package' tool_of_package
check 'symbols of edgeattn' symbols edgeattn
check 'symbols of edgeattn_io' symbols edgeattn_io
check 'thread-local storage' no_thread_storage
check 'size of the static core' core_size
check 'builds without the tool' optional_parts
check 'builds beside another XNNPACK' unknown_xnnpack
ended=0
wait "$empty_debian" || ended=$?
check 'the packages in an empty Debian' bash -c 'cat "$0"; exit "$1"' "$work/empty-debian" "$ended"

sum_checks
