#!/usr/bin/env python3
"""Runs the commands of README.md that write a picture to docs/, and compares what they make with the committed pictures:
pictures_test.py EDGEATTN png|no-png [--keep]

Machines differ: in an attention map by a shade, in a memory map by how wide the panels of an instruction set are.
png or no-png says whether the tool was built with libpng. --keep replaces the committed pictures.
"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # the source tree stays as it is
import indexed_png

# Of a cross build, Meson names the emulator.
TOOL = [*shlex.split(os.environ.get("MESON_EXE_WRAPPER", "")), os.path.abspath(sys.argv[1])]
ROOT = pathlib.Path(__file__).resolve().parent.parent
SMALL_BYTES = 1 << 16  # of a region whose bytes may be another machine's
TOLERANCE = 0.05       # of the bytes of a larger one


def commands():
    """{picture's path: arguments of edgeattn}"""
    readme = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in re.findall(r"^ {4}edgeattn (.*)$", readme, re.MULTILINE):
        arguments = shlex.split(line)
        for picture in (word for word in arguments if word.startswith("docs/")):
            found[picture] = arguments
    return found


def compare_maps(made, committed):
    (palette, rows), (old_palette, old_rows) = indexed_png.decoded(made), indexed_png.decoded(committed)
    assert palette == old_palette and [len(row) for row in rows] == [len(row) for row in old_rows]
    worst = max(abs(a - b) for row, old in zip(rows, old_rows) for a, b in zip(row, old))
    assert worst <= 1, f"differs by {worst} shades"


def regions(svg):
    """{name: (left and width, which are its phases; bytes)}"""
    pattern = r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"[^>]*><title>(.*): (\d+) bytes at \d+</title>'
    found = {name: ((x, width), int(size)) for x, width, name, size in re.findall(pattern, svg)}
    assert len(found) > 10, f"only {len(found)} regions"
    return found


def compare_plans(made, committed):
    new, old = regions(made.decode()), regions(committed.decode())
    assert sorted(new) == sorted(old), f"other regions: {sorted(set(new) ^ set(old))}"
    for name, (phases, size) in new.items():
        old_phases, old_size = old[name]
        assert phases == old_phases, f"{name}: other phases"
        alike = max(size, old_size) < SMALL_BYTES or abs(size - old_size) <= TOLERANCE * old_size
        assert alike, f"{name}: {size}, not {old_size} bytes"


def check(picture, arguments, keep):
    shown = f"]({picture})" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert shown, "README.md does not show it"
    with tempfile.TemporaryDirectory(prefix="edgeattn-pictures-") as folder:
        place = pathlib.Path(folder)
        (place / "docs").mkdir()
        (place / "tests").symlink_to(ROOT / "tests")
        subprocess.run([*TOOL, *arguments], cwd=folder, stdout=subprocess.DEVNULL, timeout=300, check=True)
        if keep:
            shutil.copyfile(place / picture, ROOT / picture)
        compare = {".png": compare_maps, ".svg": compare_plans}[pathlib.Path(picture).suffix]
        compare((place / picture).read_bytes(), (ROOT / picture).read_bytes())


def main():
    passed = failed = 0
    for picture, arguments in commands().items():
        if picture.endswith(".png") and sys.argv[2] == "no-png":
            print(f"{picture}: not made, the tool was built without libpng")
            continue
        try:
            check(picture, arguments, "--keep" in sys.argv)
            passed += 1
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            failed += 1
            print(f"FAILED: {picture}: {error}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
