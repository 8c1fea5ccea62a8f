#!/usr/bin/env python3
"""Compares the reader of weights files with the reference package on every file of folders: differential.py VERDICTS FOLDER…

Fails when the two differ for no reason listed here, and when they agree on no file or on nothing but errors.
"""
import collections
import pathlib
import re
import subprocess
import sys

from safetensors import SafetensorError, deserialize

# Where edgeattn is stricter on purpose (docs/safetensors.md): what it says of such a file.
STRICTER = (
    (r"header: expected to start with '{'", "white space before the header, where the format demands '{'"),
    (r"__metadata__: expected an object, given null", "metadata of null"),
    (r"header: expected to end with '}' and spaces", "padded with other white space than spaces"),
    (r"expected (once|key '.*' once|\w+ once), given twice", "a name given twice"),
    (r"expected dtype, shape and data_offsets, given '", "a field that the format does not have"),
)


def reference_accepts(data):
    try:
        deserialize(data)
        return True
    except SafetensorError:
        return False


def main():
    verdicts, folders = sys.argv[1], sys.argv[2:]
    paths = sorted(path for folder in folders for path in pathlib.Path(folder).iterdir() if path.is_file())
    lines = "".join(f"{path}\n" for path in paths)
    answers = subprocess.run([verdicts], input=lines, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(answers) == len(paths), f"{len(answers)} verdicts on {len(paths)} files"
    both = collections.Counter()
    unexplained = []
    for path, answer in zip(paths, answers):
        ours, theirs = answer == "accepted", reference_accepts(path.read_bytes())
        reasons = [why for pattern, why in STRICTER if not ours and re.search(pattern, answer)]
        if ours == theirs:
            both["accepted by both" if ours else "refused by both"] += 1
        elif theirs and reasons:
            both[f"refused by edgeattn only: {reasons[0]}"] += 1
        else:
            unexplained.append(f"{path}: {answer}; the reference {'accepts' if theirs else 'refuses'} it")
    for what, count in sorted(both.items()):
        print(f"{count:7} {what}")
    for line in unexplained[:20]:
        print(f"FAILED  {line}")
    enough = both["accepted by both"] > 0 and both["refused by both"] > 0
    print(f"{'ok' if enough and not unexplained else 'FAILED'}      reference: {len(paths)} files, {len(unexplained)} unexplained differences")
    return 0 if enough and not unexplained else 1


if __name__ == "__main__":
    sys.exit(main())
