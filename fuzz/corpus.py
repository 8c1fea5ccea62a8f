#!/usr/bin/env python3
"""Keeps the inputs that a fuzz target begins with in one file of text, an input a line: corpus.py unpack FILE FOLDER | pack FOLDER FILE

To keep what a long run found: build/sanitize/fuzz/fuzz_plan -set_cover_merge=1 NEW build/fuzzing/corpus/plan, then pack NEW.
"""
import base64
import hashlib
import pathlib
import sys


def unpack(packed, folder):
    for line in packed.read_text(encoding="ascii").splitlines():
        data = base64.b64decode(line, validate=True)
        (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def pack(folder, packed):
    lines = {base64.b64encode(path.read_bytes()).decode() for path in folder.iterdir()}
    packed.write_text("".join(f"{line}\n" for line in sorted(lines, key=lambda line: (len(line), line))), encoding="ascii")


def main():
    command, source, target = sys.argv[1:]
    {"pack": pack, "unpack": unpack}[command](pathlib.Path(source), pathlib.Path(target))


if __name__ == "__main__":
    main()
