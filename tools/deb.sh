#!/usr/bin/env bash
# Builds Debian packages for this machine into build/deb: libedgeattn0 (shared libraries), libedgeattn-dev (headers, static
# libraries, pkg-config and CMake files) and edgeattn (the tool). Prints their paths.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/setup.sh dpkg-dev >&2
multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
architecture=$(dpkg --print-architecture)
tools/build.sh install --buildtype=release --prefix=/usr --libdir="lib/$multiarch" --default-library=both \
  -Dcli=enabled -Dpng=enabled -Dtests=disabled -Dbench=disabled >&2
version=$(meson introspect --projectinfo build/install | python3 -c 'import json, sys; print(json.load(sys.stdin)["version"])')

rm -rf build/deb
mkdir -p build/deb/installed build/deb/scan/debian
DESTDIR=$PWD/build/deb/installed meson install -C build/install --no-rebuild --strip --quiet >&2

# What the shared objects need of other packages, as the shlibs and symbols files of those tell.
touch build/deb/scan/debian/control
needs() {
  (cd build/deb/scan && dpkg-shlibdeps -O --ignore-missing-info -l"../installed/usr/lib/$multiarch" "${@/#/-e../installed/}") |
    sed 's/^shlibs:Depends=//'
}

# pack NAME DEPENDS SECTION SUMMARY PATTERN…: moves the installed files that match into a package.
pack() {
  local name=$1 depends=$2 section=$3 summary=$4 root=build/deb/$1 pattern file
  shift 4
  mkdir -p "$root/DEBIAN" "$root/usr/share/doc/$name"
  for pattern in "$@"; do
    for file in build/deb/installed/$pattern; do
      local place=$root/${file#build/deb/installed/}
      mkdir -p "$(dirname "$place")"
      mv "$file" "$place"
    done
  done
  cp CHANGELOG.md "$root/usr/share/doc/$name/"
  echo 'edgeattn, under the Apache License 2.0: /usr/share/common-licenses/Apache-2.0' > "$root/usr/share/doc/$name/copyright"
  cat > "$root/DEBIAN/control" <<EOF
Package: $name
Source: edgeattn
Version: $version
Architecture: $architecture
Maintainer: ${DEBFULLNAME:-edgeattn} <${DEBEMAIL:-edgeattn@localhost}>
Section: $section
Priority: optional
Multi-Arch: $([[ $name == edgeattn ]] && echo foreign || echo same)
Installed-Size: $(du -k -s --apparent-size "$root/usr" | cut -f1)
Depends: $depends
Description: $summary
 edgeattn runs the spatial attention block of diffusion UNets on the CPU, on memory
 that is planned to the byte before the first run.
EOF
  if [[ $name == libedgeattn0 ]]; then echo 'activate-noawait ldconfig' > "$root/DEBIAN/triggers"; fi
  chmod -R u=rwX,go=rX "$root"
  dpkg-deb --root-owner-group --build "$root" "build/deb/${name}_${version}_${architecture}.deb" >&2
}

lib=usr/lib/$multiarch
library_needs=$(needs "$lib/libedgeattn.so.$version" "$lib/libedgeattn_io.so.$version")
tool_needs=$(needs usr/bin/edgeattn)
pack edgeattn "libedgeattn0 (= $version), $tool_needs" science 'attention blocks of diffusion UNets, command line tool' usr/bin/edgeattn
pack libedgeattn0 "$library_needs" libs 'attention blocks of diffusion UNets, shared libraries' "$lib/*.so.*"
pack libedgeattn-dev "libedgeattn0 (= $version), libxnnpack-dev, libpthreadpool-dev" libdevel \
  'attention blocks of diffusion UNets, development files' usr/include "$lib/*.so" "$lib/*.a" "$lib/pkgconfig" "$lib/cmake"

left=$(find build/deb/installed -type f -o -type l)
if [[ -n $left ]]; then
  echo "in no package: $left" >&2
  exit 1
fi
printf '%s\n' build/deb/*.deb
