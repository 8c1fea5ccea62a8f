#!/usr/bin/env python3
"""Tests of examples/sampler: sampler_test.py SAMPLER EDGEATTN [--sample]

All 200 steps against what PyTorch drew out of the same noise, the PNG, and what must make it fail. A sample, and an emulator, which
MESON_EXE_WRAPPER names, draw a few steps only.
"""
import math
import os
import pathlib
import pty
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import traceback
import zlib

sys.dont_write_bytecode = True  # the source tree stays as it is
from crafted import decoded, encoded
from machine import lacks

EMULATOR = shlex.split(os.environ.get("MESON_EXE_WRAPPER", ""))
SAMPLER, EDGEATTN = ([*EMULATOR, os.path.abspath(path)] for path in sys.argv[1:3])
SAMPLE = bool(EMULATOR) or "--sample" in sys.argv[3:]
DATA = pathlib.Path(__file__).resolve().parent.parent / "examples/digits/data"
IMAGES, SIDE, ENLARGED = 10, 16, 8
LIMIT, LEAST_PSNR = 1e-3, 35

WEIGHTS, NOISE, REFERENCE = (str(DATA / f"{name}.safetensors") for name in ("unet", "noise", "images"))
GIVEN = f"--weights {WEIGHTS} --noise {NOISE}"


def call(*arguments, program=SAMPLER):
    return subprocess.run([*program, *arguments], capture_output=True, text=True, timeout=600, check=False)


def missing(precision):
    """Why this processor or build has no attention in a precision, or None."""
    return lacks(lambda *arguments: call(*arguments, program=EDGEATTN), "--precision", precision)


def good(arguments):
    """Standard output of a call that must succeed without a word on standard error, by the first word of its lines."""
    result = call(*arguments.split())
    assert (result.returncode, result.stderr) == (0, ""), f"exit {result.returncode}: {result.stderr}"
    return dict(line.split(maxsplit=1) for line in result.stdout.splitlines())


def allocates_nothing(report):
    return report["allocated"] == "0 times between the first step and the last, released 0 times"


def gray_pixels(png):
    """Width and rows of a PNG of 8 bits of gray, without interlacing."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, place = {}, 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place:place + 4])
        kind, data = png[place + 4:place + 8], png[place + 8:place + 8 + length]
        assert struct.unpack(">I", png[place + 8 + length:place + 12 + length])[0] == zlib.crc32(kind + data)
        chunks[kind] = chunks.get(kind, b"") + data
        place += 12 + length
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colour, rest) == (8, 0, [0, 0, 0])
    data, rows, above = zlib.decompress(chunks[b"IDAT"]), [], bytes(width)
    for begin in range(0, height * (width + 1), width + 1):
        row = bytearray(data[begin + 1:begin + 1 + width])
        for i in range(width):
            left, corner = (row[i - 1], above[i - 1]) if i > 0 else (0, 0)
            row[i] = (row[i] + predicted(data[begin], left, above[i], corner)) % 256
        rows.append(row)
        above = row
    return width, rows


def predicted(kind, left, above, corner):
    """A PNG filter's prediction of a byte."""
    nearest = min((left, above, corner), key=lambda value: abs(left + above - corner - value))
    return (0, left, above, (left + above) // 2, nearest)[kind]


def test_draws_what_pytorch_draws_and_allocates_nothing():
    shape, expected = decoded(pathlib.Path(REFERENCE).read_bytes())["images"]
    assert shape == [IMAGES, 1, SIDE, SIDE]
    steps, reference = (2, "") if SAMPLE else (200, f"--reference {REFERENCE}")
    sheets = {}
    for precision in ("f32", "bf16", "int8"):
        # One thread, for tests that run side by side; tools/consumers.sh takes all.
        arguments = f"{GIVEN} {reference} --steps {steps} --threads 1 --precision {precision} --output {precision}.png"
        if reason := missing(precision):
            check_refused(arguments, reason)
            assert not os.path.exists(f"{precision}.png")
            continue
        report = good(arguments)
        assert allocates_nothing(report), report
        assert report["images"].endswith(f"{steps} steps on 1 thread, attention in {precision}"), report
        width, rows = gray_pixels(pathlib.Path(f"{precision}.png").read_bytes())
        assert (width, len(rows)) == (IMAGES * SIDE * ENLARGED, SIDE * ENLARGED)
        sheets[precision] = rows
        if SAMPLE:
            continue
        if precision == "f32":
            assert float(report["difference"].split()[0]) <= LIMIT, report
            check_pixels(rows, expected)
        else:
            assert float(re.search(r"PSNR (\S+) dB", report["difference"])[1]) >= LEAST_PSNR, report
            seen = psnr(sheets["f32"], rows)
            assert seen >= LEAST_PSNR and rows != sheets["f32"], seen
            print(f"  {precision}: PSNR {seen:.1f} dB from float32's")


def check_pixels(rows, expected):
    for h, row in enumerate(rows):
        for w, pixel in enumerate(row):
            image, column = divmod(w // ENLARGED, SIDE)
            value = expected[(image * SIDE + h // ENLARGED) * SIDE + column]
            gray = (max(-1, min(1, value)) + 1) * 127.5
            # Half a level of rounding, and what the limit allows.
            assert abs(gray - pixel) <= 0.5 + 127.5 * LIMIT, f"row {h}, column {w}: {pixel}, expected {gray}"


def check_refused(arguments, reason):
    result = call(*arguments.split())
    assert (result.returncode, result.stdout) == (1, ""), result
    assert re.fullmatch(rf"sampler: (.*: )?{re.escape(reason)}\n", result.stderr), (reason, result)
    print(f"  {reason}")


def psnr(rows, others):
    """Of two sheets, in dB."""
    squares = [(a - b) ** 2 for row, other in zip(rows, others) for a, b in zip(row, other)]
    return 10 * math.log10(255 ** 2 * len(squares) / sum(squares))


def test_threads_change_no_pixel_and_allocate_nothing():
    sheets = []
    for threads in (1, 2, 3):
        report = good(f"{GIVEN} --steps 5 --threads {threads} --output sheet.png")
        assert f"5 steps on {threads} thread" in report["images"] and allocates_nothing(report), report
        sheets.append(pathlib.Path("sheet.png").read_bytes())
    assert sheets[0] == sheets[1] == sheets[2]


def test_a_bar_on_a_terminal_allocates_nothing():
    try:
        leader, follower = pty.openpty()
    except OSError:
        print("  no terminals here: only their absence tested")
        return
    command = [*SAMPLER, *f"{GIVEN} --steps 2 --threads 1 --output digits.png".split()]
    with os.fdopen(leader, "rb", buffering=0) as terminal:
        result = subprocess.run(command, stderr=follower, stdout=subprocess.PIPE, text=True, timeout=600, check=True)
        shown = terminal.read(10000).decode()
        os.close(follower)
    half, whole = "[" + "#" * 20 + "." * 20 + "] 1 of 2 steps", "[" + "#" * 40 + "] 2 of 2 steps"
    assert shown == f"\rdrawing {half}\rdrawing {whole}\r\033[K", repr(shown)
    assert "allocated   0 times between the first step and the last, released 0 times" in result.stdout, result.stdout


def test_fails_where_images_differ():
    result = call(*f"{GIVEN} --steps 1 --reference {REFERENCE} --output digits.png".split())
    assert result.returncode == 1 and "differ" in result.stderr and len(result.stderr.splitlines()) == 1, result
    assert float(re.search(r"difference +(\S+)", result.stdout)[1]) > LIMIT, result.stdout


def test_fails_where_a_pixel_is_no_number():
    shape, values = decoded(pathlib.Path(REFERENCE).read_bytes())["images"]
    values[7] = float("nan")
    pathlib.Path("nan.safetensors").write_bytes(encoded({"images": (shape, values)}))
    result = call(*f"{GIVEN} --steps 1 --reference nan.safetensors --output digits.png".split())
    assert result.returncode == 1 and "differ" in result.stderr and "nan" in result.stdout, result


# Calls that must fail: arguments, exit code, what the one line on standard error must say.
WRONG = [
    ("", 2, ["required", "sampler --help"]),
    (f"--weights {WEIGHTS}", 2, ["--noise"]),
    (f"{GIVEN} --steps 0", 2, ["--steps"]),
    (f"{GIVEN} --steps 201", 2, ["--steps"]),
    (f"{GIVEN} --threads -1", 2, ["--threads"]),
    (f"{GIVEN} --precision fp8", 2, ["--precision", "fp8"]),
    (f"{GIVEN} --threads 1025", 2, ["--threads", "1024"]),
    (f"--weights missing --noise {NOISE}", 1, ["missing"]),
    (f"--weights {NOISE} --noise {NOISE}", 1, ["noise.safetensors", "a0."]),
    (f"--weights {WEIGHTS} --noise {WEIGHTS}", 1, ["unet.safetensors", "'noise'", "[200, 10, 1, 16, 16]"]),
    (f"{GIVEN} --reference {NOISE}", 1, ["noise.safetensors", "'images'", "[10, 1, 16, 16]"]),
    (f"{GIVEN} --steps 1 --output no/folder/digits.png", 1, ["no/folder/digits.png"]),
]


def check_wrong(arguments, code, words):
    result = call(*arguments.split())
    lines = result.stderr.splitlines()
    assert result.returncode == code, f"exit {result.returncode}, expected {code}: {result.stderr}"
    assert len(lines) == 1 and all(word in lines[0] for word in words), f"expected {words}, got {lines}"


# What a sample leaves out.
FULL = (test_threads_change_no_pixel_and_allocate_nothing,)


def main():
    checks = [(f"sampler {row[0]}", lambda row=row: check_wrong(*row)) for row in WRONG[::4 if SAMPLE else 1]]
    checks += [(name, check) for name, check in globals().items() if name.startswith("test_") and not (SAMPLE and check in FULL)]
    failed = 0
    for name, check in checks:
        with tempfile.TemporaryDirectory(prefix="edgeattn-sampler-") as folder:
            os.chdir(folder)
            try:
                check()
            except Exception:  # every failure is reported, and the next check runs
                failed += 1
                print(f"FAILED: {name}\n{traceback.format_exc()}")
            os.chdir("/")
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
