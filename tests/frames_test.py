#!/usr/bin/env python3
"""Stack frames of what a run calls, as -fstack-usage wrote them: frames_test.py MOST_BYTES FOLDER…

No function of the run path has a frame of more than MOST_BYTES, nor one without a bound.
"""
import pathlib
import sys

RUN_PATH = ("block_run", "block_tile", "block_pack", "block_statistics", "c_block", "gemm_operator", "gemm_builtin", "gemm_xnnpack_", "kernels.cc",
            "scalar_", "x86_", "arm_")


def frames(folders):
    """(bytes, size has a bound, function) of every function on the run path."""
    for folder in folders:
        for path in sorted(pathlib.Path(folder).glob("*.su")):
            if path.name.startswith(RUN_PATH):
                for line in path.read_text(encoding="utf-8").splitlines():
                    function, size, kind = line.split("\t")
                    yield int(size), kind != "dynamic", function.split(":", 3)[-1]


def main():
    most_bytes, *folders = sys.argv[1:]
    found = sorted(frames(folders), reverse=True)
    bad = [frame for frame in found if frame[0] > int(most_bytes) or not frame[1]]
    for size, bounded, function in bad or found[:1]:
        print(f"{size} bytes{'' if bounded else ' or more'}: {function}")
    print(f"{len(found)} frames, {len(bad)} not allowed")
    return 1 if bad or not found else 0


if __name__ == "__main__":
    sys.exit(main())
