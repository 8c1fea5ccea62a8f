#!/usr/bin/env python3
"""What the scripts say when a tool or a package is missing: one line that names it. missing_tools_test.py SOURCE

Each call finds on its PATH only the programs of a row, and an apt-get that always fails where the row has one.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(sys.argv[1])
BASIC = ("bash", "dirname", "id", "grep", "dpkg-query", "mkdir", "rm", "env")
BUILD = ("meson", "ninja", "pkg-config", "python3")

# What is called, programs it finds beside the basic ones, whether there is an apt-get, what the last line must say.
ROWS = (
    ("tools/cross.sh aarch64", BUILD + ("qemu-aarch64",), False, ["no apt-get", "g++-aarch64-linux-gnu"]),
    ("tools/cross.sh armhf", BUILD + ("qemu-aarch64",), False, ["no apt-get", "g++-arm-linux-gnueabihf"]),
    ("tools/cross.sh aarch64", BUILD + ("aarch64-linux-gnu-g++",), False, ["no apt-get", "qemu-user"]),
    ("tools/cross.sh armhf", BUILD + ("arm-linux-gnueabihf-g++",), True, ["could not be installed", "qemu-user"]),
    ("tools/sysroot.sh arm64 {folder}/sysroot", (), True, ["no sysroot", "libxnnpack-dev", "arm64"]),
)


def check(call, programs, has_apt, words, folder):
    path = folder / "bin"
    path.mkdir()
    for program in BASIC:
        (path / program).symlink_to(shutil.which(program))
    for program in programs:
        (path / program).write_text("#!/bin/sh\n", encoding="utf-8")
    if has_apt:
        (path / "apt-get").write_text("#!/bin/sh\nexit 100\n", encoding="utf-8")
        (path / "sudo").write_text('#!/bin/sh\nexec "$@"\n', encoding="utf-8")
    for program in path.iterdir():
        if not program.is_symlink():
            program.chmod(0o755)
    script, *arguments = call.format(folder=folder).split()
    result = subprocess.run([shutil.which("bash"), str(SOURCE / script), *arguments], env={"PATH": str(path), "HOME": "/"},
                            capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1, f"exit {result.returncode}: {result.stderr}"
    lines = result.stderr.splitlines()
    assert lines and all(word in lines[-1] for word in words), f"expected {words}, got {lines}"
    assert has_apt or len(lines) == 1, f"more than one line: {lines}"


def main():
    passed = failed = 0
    for call, programs, has_apt, words in ROWS:
        with tempfile.TemporaryDirectory(prefix="edgeattn-tools-") as folder:
            try:
                check(call, programs, has_apt, words, pathlib.Path(folder))
                passed += 1
            except AssertionError as error:
                failed += 1
                print(f"{call} with {programs}: {error}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
