#!/usr/bin/env python3
"""Tests of the command line, a contract: cli_test.py EDGEATTN png|no-png [--sample]: whether the tool was built with libpng

Every wrong call must exit with its code, print one line that says what is wrong, and leave no file behind. A sample, which
emulators have too, is some of the wrong calls, and what depends on the processor or the build.
"""
import contextlib
import io
import json
import math
import os
import pathlib
import pty
import resource
import shlex
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import xml.etree.ElementTree

sys.dont_write_bytecode = True  # the source tree stays as it is
import indexed_png
from crafted import ddpm_block, decoded, dtypes, encoded, from_halves, halves, transposed, with_header
from machine import lacks

# Of a cross build, Meson names the emulator, and tools/older.sh does. It is slow, so it has a sample.
EMULATOR = shlex.split(os.environ.get("MESON_EXE_WRAPPER", ""))
TOOL = [*EMULATOR, os.path.abspath(sys.argv[1])]
PNG = sys.argv[2] == "png"
SAMPLE = bool(EMULATOR) or "--sample" in sys.argv[3:]
ROOT = pathlib.Path(__file__).resolve().parent.parent
WEIGHTS = str(ROOT / "tests/data/digits-blocks.safetensors")
ACTIVATIONS = str(ROOT / "tests/data/digits-activations.safetensors")
LIMIT = 2e-6
RUN_KEYS = {"shape", "layout", "threads", "isa", "precision", "gemm", "prepared_bytes", "persistent_bytes", "scratch_bytes", "bind_ms",
            "run_ms"}
PLAN_KEYS = {"shape", "layout", "threads", "isa", "precision", "gemm", "tile", "operand_sets", "prepared_bytes", "persistent_bytes", "scratch_bytes",
             "external_bytes", "alignment", "map"}
BENCH_KEYS = {"shape", "layout", "threads", "isa", "precision", "gemm", "tile", "operand_sets", "best_ms", "median_ms", "gflop_naive", "gflop_own",
              "gflops_own", "fma_peak_gflops", "roofline_fraction", "phases_ms"}
CHECK_KEYS = {"shape", "layout", "threads", "isa", "reference", "largest_score", "precisions", "warnings"}
TRIAL_KEYS = {"precision", "available", "max_abs_error", "relative_rms_error", "worst_pixel", "run_ms", "scratch_bytes"}
PRECISIONS = ["f32", "bf16", "int8"]
# Of the attention term of trained blocks.
MOST_RELATIVE = {"f32": 1e-5, "bf16": 3e-3, "int8": 4e-3}
PHASES = ["bind", "statistics", "pack", "project", "scores", "softmax", "mix", "out", "transpose"]


def apart(stderr):
    """Standard error without its notes, and those."""
    lines = stderr.splitlines(keepends=True)
    notes = [line for line in lines if line.startswith("edgeattn: note: ")]
    return "".join(line for line in lines if line not in notes), notes


def call(*arguments, **options):
    """A run of the tool; its notes are taken from standard error into `notes`."""
    result = subprocess.run([*TOOL, *arguments], capture_output=True, text=True, timeout=300, check=False, **options)
    result.stderr, result.notes = apart(result.stderr)
    return result


def good(*arguments):
    """Standard output of a call that must succeed without a word on standard error but notes."""
    result = call(*arguments)
    assert (result.returncode, result.stderr) == (0, ""), f"exit {result.returncode}: {result.stderr}"
    return result.stdout


def block_run(step="am.step100", *arguments, output="out.safetensors"):
    prefix = step[:3]
    return good("run", "--weights", WEIGHTS, "--prefix", prefix, "--input", ACTIVATIONS, "--tensor", f"{step}.input",
                "--output", output, *arguments)


def largest_difference(a, b):
    assert len(a) == len(b)
    return max(abs(x - y) for x, y in zip(a, b))


def activation(name):
    return decoded(pathlib.Path(ACTIVATIONS).read_bytes())[name]


# Calls that must fail: files to make, arguments, exit code, what the one line on standard error must say.
SMALL = encoded(ddpm_block(4))
MAP = encoded({"x": ([1, 4, 2, 2], range(16))})
RUN = "run --weights w --input x --output y"
REAL = f"run --weights {WEIGHTS} --prefix am. --input {ACTIVATIONS} --tensor am.step0.input --output y"
CHECK = f"check --weights {WEIGHTS} --prefix am. --input {ACTIVATIONS} --tensor am.step0.input"
PLAN = "plan --shape 1,64,8,8"
MAP_OF = f"{REAL} --attention-map"


# The same weights under guided-diffusion's keys.
GUIDED = encoded({name.replace("to_qkv", "qkv").replace("to_out", "proj_out"): tensor
                  for name, tensor in ddpm_block(4).items()})


def small(**changes):
    return {"w": encoded(ddpm_block(4, **changes)), "x": MAP}


def tensors(**entries):
    """A header that may claim anything, of name=(shape, begin, end) or name=(shape, begin, end, dtype)."""
    return json.dumps({name: {"dtype": dtype[0] if dtype else "F32", "shape": shape, "data_offsets": [begin, end]}
                       for name, (shape, begin, end, *dtype) in entries.items()})


WRONG = [
    # the command line itself
    ({}, "", 2, ["subcommand is required"]),
    ({}, "fly", 2, ["edgeattn --help"]),
    ({}, "run", 2, ["required", "edgeattn run --help"]),
    ({}, "run --weights w --input x", 2, ["--output is required"]),
    ({}, "plan", 2, ["--shape is required"]),
    ({}, "inspect", 2, ["required"]),
    ({}, f"{PLAN} --colour", 2, ["--colour"]),
    ({}, f"{PLAN} more", 2, ["more"]),
    ({}, f"{PLAN} --threads 2 --threads 3", 2, ["--threads"]),
    ({}, f"{PLAN} --threads -1", 2, ["--threads", "whole number", "'-1'"]),
    ({}, f"{PLAN} --threads 1.5", 2, ["--threads", "'1.5'"]),
    ({}, f"{PLAN} --threads 99999999999999999999", 2, ["--threads"]),
    ({}, f"{PLAN} --scratch-budget 20M", 2, ["--scratch-budget", "'20M'"]),
    ({}, f"{PLAN} --l2-bytes 0", 2, ["--l2-bytes", "at least 1"]),
    ({}, f"{PLAN} --l2-bytes 1M", 2, ["--l2-bytes", "'1M'"]),
    ({}, f"{PLAN} --gemm blas", 2, ["--gemm", "auto|xnnpack|builtin", "'blas'"]),
    ({}, f"{PLAN} --isa sse9", 2, ["--isa", "auto|scalar|avx2|avx512|neon", "'sse9'"]),
    ({}, f"{PLAN} --layout chwn", 2, ["--layout", "nchw|nhwc"]),
    ({}, f"{PLAN} --norm ln", 2, ["--norm", "gn|in|bn|none"]),
    ({}, f"{PLAN} --norm in --groups 4", 2, ["--groups", "--norm in"]),
    ({}, f"{PLAN} --norm bn --groups 4", 2, ["--groups", "--norm bn"]),
    ({}, f"{PLAN} --norm none --eps 1e-5", 2, ["--eps", "--norm none"]),
    ({}, f"{PLAN} --groups 0", 2, ["--groups", "at least 1"]),
    ({}, f"{PLAN} --heads 0", 2, ["--heads", "at least 1"]),
    ({}, f"{PLAN} --eps 0", 2, ["--eps", "above 0"]),
    ({}, f"{PLAN} --eps nan", 2, ["--eps", "above 0"]),
    ({}, f"{PLAN} --scale 0", 2, ["--scale", "above 0"]),
    ({}, f"{PLAN} --scale 1/8", 2, ["--scale", "above 0", "'1/8'"]),
    ({}, f"{PLAN} --tile 8", 2, ["--tile", "BQ,BK", "'8'"]),
    ({}, f"{PLAN} --tile 8,0", 2, ["--tile", "BQ,BK"]),
    ({}, f"{PLAN} --rescale-output 0", 2, ["--rescale-output", "above 0"]),
    ({}, f"{PLAN} --qkv-order new", 2, ["--qkv-order", "--weights"]),
    ({}, f"{REAL} --qkv-order old", 2, ["--qkv-order", "new|legacy", "'old'"]),
    ({}, f"{PLAN} --prefix am.", 2, ["--prefix", "--weights"]),
    ({}, f"{REAL} --reference-tensor t", 2, ["--reference-tensor", "--reference"]),
    ({}, "plan --shape 1,64,8", 2, ["--shape", "B,C,H,W", "'1,64,8'"]),
    ({}, "plan --shape 1,64,8,8,8", 2, ["--shape"]),
    ({}, "plan --shape 1,64,0,8", 2, ["--shape", "at least 1"]),
    ({}, "plan --shape 1,64,8,x", 2, ["--shape"]),
    ({}, "bench", 2, ["--shape is required", "edgeattn bench --help"]),
    ({}, "bench --shape 1,64,8", 2, ["--shape", "B,C,H,W"]),
    ({}, "bench --shape 1,64,8,8 --reps 0", 2, ["--reps", "at least 1", "'0'"]),
    ({}, "bench --shape 1,64,8,8 --reps many", 2, ["--reps", "'many'"]),
    ({}, "bench --shape 1,64,8,8 --norm in --groups 4", 2, ["--groups", "--norm in"]),
    ({}, "bench --shape 1,64,8,8 --prefix am.", 2, ["--prefix", "--weights"]),
    ({}, f"{REAL} --output-dtype f64", 2, ["--output-dtype", "f32|f16|bf16", "'f64'"]),
    ({}, f"{MAP_OF} 3,4 --output-dtype f16", 2, ["--attention-map", "--output-dtype"]),
    ({}, "check --weights w", 2, ["--input is required", "edgeattn check --help"]),
    ({}, "check --input x", 2, ["--weights is required"]),
    ({}, f"{CHECK} --precision bf16", 2, ["--precision"]),
    ({}, f"{CHECK} --budget 0", 2, ["--budget", "above 0", "'0'"]),
    ({}, f"{CHECK} --norm in --groups 4", 2, ["--groups", "--norm in"]),
    ({}, "fold --weights w", 2, ["--output is required", "edgeattn fold --help"]),
    ({}, "fold --output y", 2, ["--weights is required"]),
    ({}, "fold --weights w --output y --threads x", 2, ["--threads", "whole number", "x"]),
    ({}, "fold --weights w --output y --layout nhwc", 2, ["--layout"]),
    ({}, "fold --weights w --output y --norm none --eps 1", 2, ["--eps", "--norm none"]),
    ({}, f"{MAP_OF} 3", 2, ["--attention-map", "ROW,COLUMN", "'3'"]),
    ({}, f"{MAP_OF} 3,4,5", 2, ["--attention-map", "ROW,COLUMN", "'3,4,5'"]),
    ({}, f"{MAP_OF} 3,x", 2, ["--attention-map", "'3,x'"]),
    ({}, f"{MAP_OF} 3,-1", 2, ["--attention-map", "'3,-1'"]),
    ({}, f"{MAP_OF} 3,99999999999999999999", 2, ["--attention-map"]),
    ({}, f"{MAP_OF} 3,4 --attention-image one", 2, ["--attention-image", "whole number", "'one'"]),
    ({}, f"{REAL} --attention-image 1", 2, ["--attention-image", "--attention-map"]),
    ({}, f"{MAP_OF} 3,4 --reference r", 2, ["--attention-map", "--reference"]),
    ({}, f"{MAP_OF} 3,4".replace("--output y", ""), 2, ["--output is required"]),
    # what this version or this machine does not do, or memory does not allow
    ({}, f"{PLAN} --heads 5", 1, ["heads", "64 channels", "got 5"]),
    ({}, f"{PLAN} --rescale-output 1e31", 1, ["rescale_output", "1e30"]),
    ({}, f"{PLAN} --groups 7", 1, ["groups", "64", "7"]),
    ({}, f"{PLAN} --threads 2000", 1, ["threads", "1024", "2000"]),
    ({}, "plan --shape 1,64,4294967295,4294967295", 1, ["can be addressed"]),
    ({}, f"{PLAN} --scratch-budget 99", 1, ["budget", "99 bytes", "at least"]),
    ({}, f"{REAL} --scratch-budget 99", 1, ["am.", "budget", "99 bytes", "at least"]),
    ({}, f"{CHECK} --heads 5", 1, ["digits-blocks", "heads", "128 channels", "given 5"]),
    ({}, f"{CHECK} --threads 2000", 1, ["digits-blocks", "'am.'", "1024", "2000"]),
    ({}, f"{CHECK} --isa scalar --budget 1e-9", 1,
     ["am.step0.input", "'am.'", "relative rms error of at most 1e-09", "bf16 errs by 0.00", "int8 errs by 0.00"]),
    # files that are not there, or not whole
    ({}, "inspect nowhere", 1, ["nowhere", "No such file"]),
    ({}, RUN, 1, ["w: ", "No such file"]),
    ({"w": SMALL}, f"{RUN} --groups 2", 1, ["x: ", "No such file"]),
    ({"w": SMALL, "x": MAP}, f"{RUN} --groups 2 --reference r", 1, ["r: ", "No such file"]),
    ({"w": b"GGUF\3\0\0\0\1"}, "inspect w", 1, ["w: expected a safetensors file, given a GGUF file"]),
    ({"w": b"<html>404"}, f"{RUN}", 1, ["w: expected a safetensors file, given an HTML page"]),
    ({"w": SMALL, "x": b"\x93NUMPY\1\0v\0"}, f"{RUN} --groups 2", 1, ["x: expected a safetensors file, given a NumPy .npy file"]),
    ({"w": b""}, "inspect w", 1, ["w: "]),
    ({"w": SMALL[:5]}, "inspect w", 1, ["w: "]),
    ({"w": SMALL[:-1]}, "inspect w", 1, ["w: "]),
    ({"w": SMALL + b"\0"}, "inspect w", 1, ["w: "]),
    ({"w": with_header("{}", length=3)}, "inspect w", 1, ["w: "]),
    ({"w": with_header("{}", length=2**64 - 1)}, "inspect w", 1, ["w: "]),
    ({"w": with_header("[]")}, "inspect w", 1, ["w: ", "{"]),
    ({"w": with_header(" {}")}, "inspect w", 1, ["w: ", "{"]),
    ({"w": with_header('{"a":' * 500 + "1" + "}" * 500)}, "inspect w", 1, ["w: "]),
    ({"w": with_header(tensors(a=([1], 0, 4))[:-1] + "," + tensors(a=([1], 0, 4))[1:], bytes(4))}, "inspect w", 1,
     ["w: ", "'a'"]),
    ({"w": with_header(tensors(a=([1], 0, 4))[:-2] + ',"b":1}}', bytes(4))}, "inspect w", 1, ["w: ", "'a'"]),
    ({"w": with_header(tensors(a=([2], 0, 8), b=([1], 4, 8)), bytes(8))}, "inspect w", 1, ["w: ", "'b'"]),
    ({"w": with_header(tensors(a=([1], 0, 4), b=([1], 8, 12)), bytes(12))}, "inspect w", 1, ["w: ", "'b'"]),
    ({"w": with_header(tensors(a=([4], 0, 16)), bytes(8))}, "inspect w", 1, ["w: "]),
    ({"w": with_header(tensors(a=([2**32, 2**32, 4], 0, 4)), bytes(4))}, "inspect w", 1, ["w: ", "'a'"]),
    ({"w": with_header(tensors(a=([1], 0, 4, "F33")), bytes(4))}, "inspect w", 1, ["w: ", "'a'", "F33"]),
    # weights that make no block
    ({}, REAL.replace("am. ", "zz. "), 1, ["digits-blocks", "'zz.'", "'a0.'", "'am.'"]),
    ({}, REAL.replace("--prefix am. ", ""), 1, ["digits-blocks", "'a0.'", "'am.'"]),
    ({"w": MAP, "x": MAP}, RUN, 1, ["w: "]),
    (small(), RUN, 1, ["w: ", "groups", "4", "32", "--groups"]),
    (small(), f"{RUN} --groups 3", 1, ["w: ", "groups", "4", "3"]),
    (small(), f"{RUN} --groups 2 --norm none", 2, ["--groups"]),
    (small(), f"{RUN} --norm none", 1, ["w: ", "norm"]),
    (small(), f"{RUN} --norm bn", 1, ["w: ", "running_"]),
    (small(norm_weight=None, norm_bias=None), f"{RUN} --groups 2", 1, ["w: ", "norm.weight", "missing", "--norm none"]),
    (small(norm_weight=None, norm_bias=None), f"{RUN} --norm none --eps 1", 2, ["--eps", "none"]),
    ({"w": encoded(ddpm_block(4, "a.") | {"a.to_qkv.lora_up.weight": ([4], range(4))}), "x": MAP}, f"{RUN} --groups 2", 1,
     ["w: ", "'a.to_qkv.lora_up.weight'", "LoRA", "merge"]),
    ({"w": encoded(ddpm_block(4, "a.") | {"a.layer_scale": ([4], range(4))}), "x": MAP}, f"{RUN} --groups 2", 1,
     ["w: ", "'a.layer_scale'", "multiply"]),
    ({"w": encoded(ddpm_block(4, "a.") | {"a.gn.weight": ([4], range(4))}), "x": MAP}, f"{RUN} --groups 2", 1,
     ["w: ", "'a.gn.weight'", "'a.norm.weight'", "one norm"]),
    ({"w": encoded({name.replace("a.norm", "norm"): tensor for name, tensor in ddpm_block(4, "a.").items()}), "x": MAP}, RUN, 1,
     ["w: ", "'a.norm.weight'", "'norm.weight' is outside", "--norm none"]),
    (small(to_out_weight=([2, 2], range(4))), f"{RUN} --groups 2", 1, ["w: ", "to_out.weight"]),
    (small(to_qkv_bias=([4], range(4))), f"{RUN} --groups 2", 1, ["w: ", "to_qkv.bias"]),
    (small(norm_weight=([3], range(3))), f"{RUN} --groups 2", 1, ["w: ", "norm.weight"]),
    (small(to_out_bias=([4], [0, float("nan"), 0, 0])), f"{RUN} --groups 2", 1, ["w: ", "to_out.bias"]),
    (small(to_qkv_weight=([12, 4], [float("inf")] * 48)), f"{RUN} --groups 2", 1, ["w: ", "to_qkv.weight"]),
    (small(to_qkv_bias=([12], bytes(12), "I8")), f"{RUN} --groups 2", 1, ["w: ", "to_qkv.bias", "I8"]),
    # weights that do not tell all, and some that look like a block
    ({"w": GUIDED, "x": MAP}, f"{RUN} --groups 2", 1, ["w: ", "heads", "guided-diffusion"]),
    ({"w": GUIDED, "x": MAP}, f"{RUN} --groups 2 --heads 2", 1, ["w: ", "qkv_order", "new or legacy"]),
    ({"w": GUIDED, "x": MAP}, f"{RUN} --groups 2 --heads 3 --qkv-order new", 1, ["w: ", "heads", "4 channels", "3"]),
    (small(), f"{RUN} --groups 2 --qkv-order new", 1, ["w: ", "qkv_order", "ddpm"]),
    ({"w": encoded({"query.kernel": ([4, 4], range(16))}), "x": MAP}, RUN, 1, ["w: ", "query.kernel", "Flax"]),
    # inputs and references that do not fit the weights
    ({"w": SMALL, "x": encoded({})}, f"{RUN} --groups 2", 1, ["x: ", "none"]),
    ({}, REAL.replace("--tensor am.step0.input ", ""), 1, ["digits-activations", "--tensor", "a0.step0.input, "]),
    ({}, REAL.replace("step0.input", "step7.input"), 1, ["digits-activations", "'am.step7.input'", "am.step0.input"]),
    ({}, REAL.replace("am.step0", "a0.step0"), 1, ["a0.step0.input", "[B, 128, H, W]", "[2, 64, 16, 16]"]),
    ({}, f"{REAL} --layout nhwc", 1, ["am.step0.input", "[B, H, W, 128]", "[2, 128, 8, 8]"]),
    ({"w": SMALL, "x": encoded({"x": ([4, 2, 2], range(16))})}, f"{RUN} --groups 2", 1,
     ["'x'", "[B, 4, H, W]", "[4, 2, 2]"]),
    ({"w": SMALL, "x": encoded({"x": ([1, 4, 0, 2], [])})}, f"{RUN} --groups 2", 1,
     ["'x'", "at least 1", "[1, 4, 0, 2]"]),
    ({"w": SMALL, "x": encoded({"x": ([1, 4, 1, 1], bytes(32), "I64")})}, f"{RUN} --groups 2", 1, ["'x'", "I64"]),
    ({}, f"{REAL} --reference {ACTIVATIONS} --reference-tensor a0.step0.output", 1,
     ["a0.step0.output", "[2, 128, 8, 8]", "[2, 64, 16, 16]"]),
    ({}, f"{REAL} --reference {ACTIVATIONS}", 1, ["--reference-tensor"]),
    ({}, f"{MAP_OF} 8,0", 1, ["am.step0.input", "row 8", "8 rows"]),
    ({}, f"{MAP_OF} 0,8", 1, ["am.step0.input", "column 8", "8 columns"]),
    ({}, f"{MAP_OF} 0,0 --attention-image 2", 1, ["am.step0.input", "image 2", "2 images"]),
    ({"w": SMALL, "x": encoded({"x": ([1, 4, 2, 2], [1.0] * 9 + [float("nan")] + [1.0] * 6)})},
     f"{RUN} --groups 2 --attention-map 0,0", 1, ["'x'", "not finite", "channel 2, row 0, column 1"]),
    ({}, CHECK.replace("am.step0", "a0.step0"), 1, ["a0.step0.input", "[B, 128, H, W]", "[2, 64, 16, 16]"]),
    ({"w": SMALL, "x": encoded({"x": ([2, 4, 1, 2], [1.0] * 13 + [float("inf")] + [1.0] * 2)})},
     "check --weights w --input x --groups 2", 1, ["'x'", "not finite", "channel 2, row 0, column 1 of image 1"]),
    ({}, f"plan --weights {WEIGHTS} --prefix am. --shape 1,64,8,8", 1, ["digits-blocks", "128", "64"]),
    ({}, f"bench --weights {WEIGHTS} --shape 1,64,8,8", 1, ["digits-blocks", "'a0.'", "'am.'"]),
    ({}, f"bench --weights {WEIGHTS} --prefix am. --shape 1,64,8,8", 1, ["digits-blocks", "128", "64"]),
    ({}, "bench --weights nowhere --shape 1,64,8,8", 1, ["nowhere", "No such file"]),
    ({}, "bench --shape 1,64,8,8 --heads 5", 1, ["heads", "got 5"]),
    ({}, "fold --weights nowhere --output y", 1, ["nowhere", "No such file"]),
    ({}, f"fold --weights {WEIGHTS} --output y", 1, ["digits-blocks", "'a0.'", "'am.'"]),
    (small(), "fold --weights w --output y --groups 3", 1, ["w: ", "groups", "4", "3"]),
    (small(), "fold --weights w --output y --groups 2 --heads 2", 1, ["w, ", "one head", "2 heads"]),
    (small(to_qkv_weight=([12, 4], [1e30] * 48)), "fold --weights w --output y --groups 2", 1, ["w, ", "overflows"]),
    # outputs that cannot be written
    ({}, f"{REAL}/y", 1, ["y/y", "cannot write"]),
    ({}, REAL.replace("--output y", "--output ."), 1, [".: ", "directory"]),
    ({}, f"{PLAN} --svg nowhere/map.svg", 1, ["nowhere/map.svg"]),
    ({}, f"{MAP_OF} 0,0".replace("--output y", "--output ."), 1, [".: ", "directory"]),
    ({}, f"{MAP_OF} 0,0".replace("--output y", "--output nowhere/map"), 1, ["nowhere/map", "cannot write"]),
    ({}, f"{MAP_OF} 0,0".replace("--output y", "--output nowhere/map.png"), 1,
     ["nowhere/map.png", "cannot write" if PNG else "libpng-dev"]),
    ({"w": encoded(ddpm_block(1)), "x": encoded({"x": ([1, 1, 1, 1000001], bytes(4000004))})},
     "run --weights w --input x --norm in --attention-map 0,0 -o map.png", 1,
     ["map.png", "1000001 x 1 pixels" if PNG else "libpng-dev"]),
    (small(), "fold --weights w --output nowhere/y --groups 2", 1, ["nowhere/y"]),
    ({}, "bench --shape 1,64,4,4 --reps 1 --svg nowhere/speed.svg", 1, ["nowhere/speed.svg"]),
]


def check_wrong(files, arguments, code, parts):
    for name, data in files.items():
        pathlib.Path(name).write_bytes(data)
    result = call(*arguments.split())
    assert result.returncode == code, f"exit {result.returncode}, expected {code}: {result.stderr}"
    assert result.stdout == "", f"on standard output: {result.stdout}"
    assert result.stderr.startswith("edgeattn: "), result.stderr
    assert result.stderr.count("\n") == 1 and result.stderr.endswith("\n"), f"not one line: {result.stderr!r}"
    for part in parts:
        assert part in result.stderr, f"no {part!r} in: {result.stderr}"
    assert sorted(os.listdir(".")) == sorted(files), f"left behind: {os.listdir('.')}"


# Calls that must work.
def test_help_and_version():
    assert good("--version") == "edgeattn 0.1.0\n"
    for command in ("run", "plan", "bench", "check", "fold", "inspect"):
        assert command in good("--help")
        assert "Usage" in good(command, "--help")


def test_real_data_on_every_instruction_set():
    for isa in ("auto", "scalar", "avx2", "avx512"):
        if reason := lacks(call, "--isa", isa):
            print(f"  {reason}")
            result = call(*REAL.split(), "--isa", isa)
            assert (result.returncode, result.stdout) == (1, "") and result.stderr.endswith(f"{reason}\n"), result
            assert result.stderr.count("\n") == 1 and not os.path.exists("y"), result
            continue
        for block in ("a0.", "am."):
            report = json.loads(block_run(f"{block}step0", "--json", "--isa", isa, "--reference", ACTIVATIONS,
                                          "--reference-tensor", f"{block}step0.output"))
            assert RUN_KEYS | {"max_abs_error"} <= set(report), report
            assert report["max_abs_error"] <= LIMIT, report
            assert isa in ("auto", report["isa"])
            shape, values = activation(f"{block}step0.output")
            assert report["shape"] == shape and report["layout"] == "nchw" and report["threads"] == 1
            written = decoded(pathlib.Path("out.safetensors").read_bytes())
            assert list(written) == ["output"] and written["output"][0] == shape
            assert largest_difference(written["output"][1], values) == report["max_abs_error"]


def test_channels_last():
    shape, values = transposed(*activation("am.step0.input"))
    pathlib.Path("x").write_bytes(encoded({"x": (shape, values)}))
    pathlib.Path("r").write_bytes(encoded({"y": transposed(*activation("am.step0.output"))}))
    report = json.loads(good("run", "--weights", WEIGHTS, "--prefix", "am.", "--input", "x", "--output", "y",
                             "--layout", "nhwc", "--reference", "r", "--json"))
    assert report["max_abs_error"] <= LIMIT and report["layout"] == "nhwc" and report["shape"] == [2, 128, 8, 8]
    assert decoded(pathlib.Path("y").read_bytes())["output"][0] == [2, 8, 8, 128]


def test_threads_do_not_change_the_output():
    block_run()
    expected = pathlib.Path("out.safetensors").read_bytes()
    for threads in ("0", "2", "3"):
        report = json.loads(block_run("am.step100", "--threads", threads, "--json"))
        assert report["threads"] == int(threads) or threads == "0"
        assert pathlib.Path("out.safetensors").read_bytes() == expected
    block_run("am.step100", "--tile", "16,64")
    assert pathlib.Path("out.safetensors").read_bytes() == expected
    assert os.listdir(".") == ["out.safetensors"]


def test_least_budget_that_an_error_states_works():
    result = call("plan", "--shape", "1,64,32,32", "--scratch-budget", "1")
    least = int(result.stderr.split("at least ")[1].split()[0])
    report = json.loads(good("plan", "--shape", "1,64,32,32", "--scratch-budget", str(least), "--json"))
    assert report["scratch_bytes"] <= least
    assert call("plan", "--shape", "1,64,32,32", "--scratch-budget", str(least - 1)).returncode == 1


def test_a_smaller_l2_makes_smaller_key_blocks():
    def keys(*options):
        return json.loads(good("plan", "--shape", "1,512,32,32", "--json", *options))["tile"]["bk"]

    assert keys("--l2-bytes", str(1 << 20)) == 256
    assert keys("--l2-bytes", str(1 << 19)) == 128


def test_summary_names_what_the_file_does_not_tell():
    text = block_run("am.step0", "--reference", ACTIVATIONS, "--reference-tensor", "am.step0.output")
    for part in ("gn with 32 groups", "eps 1e-05", "128 channels", "scratch", "error", "s prepare and bind, ", "s run"):
        assert part in text, f"no {part!r} in: {text}"
    assert "gn with 8 groups, eps 0.001" in block_run("am.step0", "--groups", "8", "--eps", "1e-3")


def test_nan_in_input_and_reference():
    nan = float("nan")
    pathlib.Path("w").write_bytes(SMALL)
    pathlib.Path("x").write_bytes(encoded({"x": ([1, 4, 2, 2], [nan] + [1.0] * 15)}))
    for reference, error in (([nan] * 16, 0), ([0.0] * 16, None), ([nan] * 15 + [0.0], None)):
        pathlib.Path("r").write_bytes(encoded({"y": ([1, 4, 2, 2], reference)}))
        result = call("run", "--weights", "w", "--input", "x", "--output", "y", "--groups", "2", "--reference", "r", "--json")
        assert result.returncode == 0 and json.loads(result.stdout)["max_abs_error"] == error, result
        assert result.stderr == ("edgeattn: warning: y: 4 of 4 pixels, in 1 of 1 image, are not finite; the input is not in 1\n"), result.stderr


def attention_run(pixel, output, *arguments, step="a0.step0"):
    return good("run", "--weights", WEIGHTS, "--prefix", step[:3], "--input", ACTIVATIONS, "--tensor", f"{step}.input",
                "--attention-map", pixel, "-o", output, *arguments)


def attention_weights(name):
    """Shape and values of a written map."""
    tensors = decoded(pathlib.Path(name).read_bytes())
    assert list(tensors) == ["attention"]
    return tensors["attention"]


def test_attention_map_as_weights():
    report = json.loads(attention_run("5,9", "map", "--json"))
    shape, weights = attention_weights("map")
    assert shape == [1, 16, 16] and report["shape"] == [2, 64, 16, 16] and report["layout"] == "nchw"
    assert report["pixel"] == [5, 9] and report["image"] == 0
    (head,) = report["heads"]
    assert abs(head["sum"] - 1) < 1e-12 and abs(sum(weights) - 1) < 1e-6
    assert largest_difference([head["min"], head["max"]], [min(weights), max(weights)]) < 1e-8
    row, column = head["max_pixel"]
    assert weights[16 * row + column] == max(weights)
    assert abs(head["entropy_bits"] + sum(w * math.log2(w) for w in weights)) < 1e-5
    text = attention_run("5,9", "map")
    for part in ("'a0.', ddpm, gn", "pixel   5,9 of 16 x 16, image 0 of a batch of 2", f"at pixel {row},{column}; entropy",
                 "of 8 bits", "output  map"):
        assert part in text, f"no {part!r} in: {text}"
    attention_run("5,9", "other", "--attention-image", "1")
    assert largest_difference(weights, attention_weights("other")[1]) > 1e-3
    attention_run("5,9", "heads", "--heads", "4")
    assert attention_weights("heads")[0] == [4, 16, 16]


def test_attention_map_channels_last_and_folded():
    attention_run("3,4", "expected", step="am.step0")
    pathlib.Path("x").write_bytes(encoded({"x": transposed(*activation("am.step0.input"))}))
    good("run", "--weights", WEIGHTS, "--prefix", "am.", "--input", "x", "--layout", "nhwc", "--attention-map", "3,4", "-o", "y")
    good("fold", "--weights", WEIGHTS, "--prefix", "am.", "-o", "folded")
    good("run", "--weights", "folded", "--input", "x", "--layout", "nhwc", "--attention-map", "3,4", "-o", "z")
    expected = attention_weights("expected")[1]
    assert attention_weights("y")[1] == expected
    assert largest_difference(attention_weights("z")[1], expected) < 1e-6


def test_attention_map_as_a_picture():
    if not PNG:
        print("  built without libpng: only its error tested")
        return
    attention_run("5,0", "map.png", "--heads", "4")
    attention_run("5,0", "map", "--heads", "4")
    palette, rows = indexed_png.decoded(pathlib.Path("map.png").read_bytes())
    assert (len(rows[0]), len(rows)) == (2 * 512 + 8, 2 * 512 + 8)
    weights = attention_weights("map")[1]
    for head in range(4):
        top, left = head // 2 * 520, head % 2 * 520
        largest = max(weights[256 * head:256 * (head + 1)])
        for pixel in range(256):
            y, x = top + pixel // 16 * 32, left + pixel % 16 * 32
            shade = round(weights[256 * head + pixel] / largest * 253)
            assert abs(rows[y + 16][x + 16] - shade) <= 1, (head, pixel)
        # The frame is around the pixel, and ends where the map does.
        for y in range(top + 160, top + 192):
            assert len(set(rows[y][left:left + 32])) == 1 and set(rows[y][left + 32:left + 36]) == {255}
            assert rows[y][left + 36] != 255
        assert set(rows[top + 156][left:left + 36]) == {255} and 255 not in rows[top + 155][left:left + 36]
    assert {row[x] for row in rows for x in range(512, 520)} == {254} == set(rows[515])
    lightness = [2 * r + 7 * g + b for r, g, b in palette[:254:11]]
    assert all(b - a > 30 for a, b in zip(lightness, lightness[1:])), f"not brighter with the weight: {lightness}"
    assert palette[254:] == [(255, 255, 255), (255, 60, 60)]


def test_attention_map_to_devices_and_in_place_of_another():
    attention_run("0,0", "/dev/null")
    block_run("am.step100", output="map.PNG")
    if PNG:
        attention_run("0,0", "map.PNG")
        assert indexed_png.decoded(pathlib.Path("map.PNG").read_bytes())
    assert sorted(os.listdir(".")) == ["map.PNG"]


def test_devices_and_pipes_are_written_directly():
    block_run("am.step100", output="/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    block_run()
    os.mkfifo("pipe")
    received = []
    reader = threading.Thread(target=lambda: received.append(pathlib.Path("pipe").read_bytes()))
    reader.start()
    block_run("am.step100", output="pipe")
    reader.join(60)
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)
    assert received == [pathlib.Path("out.safetensors").read_bytes()]


def test_full_device_is_an_error():
    if not os.path.exists("/dev/full"):
        return
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run([*TOOL, "plan", "--shape", "1,64,8,8"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert result.returncode == 1 and b"standard output" in result.stderr
    for arguments in (REAL.replace("--output y", "--output /dev/full"), f"{PLAN} --svg /dev/full",
                      f"fold --weights {WEIGHTS} --prefix am. --output /dev/full",
                      "bench --shape 1,64,4,4 --reps 1 --svg /dev/full"):
        result = call(*arguments.split())
        assert result.returncode == 1 and "/dev/full" in result.stderr and result.stdout == "", (arguments, result)
        assert "No space left" in result.stderr and result.stderr.count("\n") == 1, result.stderr


def test_read_only_places_are_errors():
    for name, data in (("w", SMALL), ("x", MAP), ("y", b"old")):
        pathlib.Path(name).write_bytes(data)
        os.chmod(name, 0o444)
    os.mkdir("closed")
    for folder in (".", "closed"):
        os.chmod(folder, 0o555)
    somebody = {"user": 65534, "group": 65534} if os.geteuid() == 0 else {}
    calls = [RUN.replace("--output y", f"--output {output}") + " --groups 2" for output in ("y", "new", "closed/y")]
    calls += ["fold --weights w --groups 2 --output y", f"{PLAN} --svg new", f"{PLAN} --svg closed/map.svg"]
    try:
        for arguments in calls:
            result = call(*arguments.split(), **somebody)
            assert result.returncode == 1 and result.stdout == "", (arguments, result)
            assert "cannot write" in result.stderr and "denied" in result.stderr, (arguments, result.stderr)
            # A build that counts coverage cannot write its counts as somebody.
            words = [line for line in result.stderr.splitlines() if not line.startswith("profiling:")]
            assert len(words) == 1, result.stderr
    except PermissionError:
        print("  the tool is where only root may start it: not tested")
    finally:
        for folder in (".", "closed"):
            os.chmod(folder, 0o755)
    assert sorted(os.listdir(".")) == ["closed", "w", "x", "y"] and os.listdir("closed") == []
    assert pathlib.Path("y").read_bytes() == b"old"


def interrupted(arguments, ready, number=signal.SIGINT):
    """Exit code of a call that gets a signal as soon as `ready()`, and whether it was still running then."""
    with subprocess.Popen([*TOOL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          preexec_fn=lambda: signal.signal(number, signal.SIG_DFL)) as process:
        while not ready() and process.poll() is None:
            pass
        running = process.poll() is None
        process.send_signal(number)
        output, complaint = process.communicate(timeout=300)
        assert not running or (output, apart(complaint.decode())[0]) == (b"", ""), (output, complaint)
        return process.returncode, running


def test_a_run_that_is_interrupted_writes_nothing():
    pathlib.Path("w").write_bytes(encoded(ddpm_block(32)))
    pathlib.Path("x").write_bytes(encoded({"x": ([1, 32, 320, 320], bytes(32 * 320 * 320 * 4))}))
    for number, old, threads in ((signal.SIGINT, None, "1"), (signal.SIGINT, b"old", "2"), (signal.SIGTERM, b"old", "1")):
        if old:
            pathlib.Path("y").write_bytes(old)
        due = time.monotonic() + 0.7
        code, running = interrupted((*RUN.split(), "--threads", threads), lambda: time.monotonic() > due, number)
        assert running and code == -number, (running, code)
        assert sorted(os.listdir(".")) == ["w", "x"] + (["y"] if old else [])
        assert not old or pathlib.Path("y").read_bytes() == old


def test_an_interrupt_while_writing_leaves_a_whole_file():
    channels, images = 512, 6000
    pathlib.Path("w").write_bytes(encoded(ddpm_block(channels)))
    pathlib.Path("x").write_bytes(encoded({"x": ([images, channels, 1, 2], bytes(images * channels * 2 * 4))}))
    for _ in range(10):
        code, caught = interrupted(RUN.split(), lambda: any(name.startswith(".edgeattn-") for name in os.listdir(".")))
        assert sorted(os.listdir(".")) == ["w", "x", "y"]
        assert decoded(pathlib.Path("y").read_bytes())["output"][0] == [images, channels, 1, 2]
        if caught and code == -signal.SIGINT:
            return
        os.remove("y")
    raise AssertionError("no interrupt came while the output was written")


def test_threads_that_do_not_start_are_an_error():
    if "MESON_EXE_WRAPPER" in os.environ:
        print("  no limit on an emulated stack")
        return
    # A stack of more than the address space: the limit is the size that new threads get.
    limit = (1 << 50, resource.getrlimit(resource.RLIMIT_STACK)[1])
    pathlib.Path("w").write_bytes(SMALL)
    pathlib.Path("x").write_bytes(MAP)
    for arguments in (f"{RUN} --groups 2 --threads 3", "bench --shape 1,64,8,8 --threads 3"):
        result = call(*arguments.split(), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_STACK, limit))
        assert result.returncode == 1 and result.stdout == "", result
        assert "cannot start 3 threads" in result.stderr and result.stderr.count("\n") == 1, result.stderr
    assert sorted(os.listdir(".")) == ["w", "x"]


def test_plan():
    text = good("plan", "--weights", WEIGHTS, "--prefix", "a0.", "--shape", "2,64,16,16", "--threads", "2", "--svg",
                "map.svg")
    assert "scores" in text and "total" in text
    assert xml.etree.ElementTree.parse("map.svg").getroot().tag.endswith("svg")
    report = json.loads(good("plan", "--shape", "2,64,16,16", "--threads", "2", "--json", "--layout", "nhwc"))
    assert PLAN_KEYS <= set(report), report
    assert report["shape"] == [2, 64, 16, 16] and report["layout"] == "nhwc" and report["threads"] == 2
    assert set(report["tile"]) == {"bq", "bk"} and report["alignment"] == 64
    regions = [(r["space"], r["offset"], r["offset"] + r["bytes"], PHASES.index(r["first"]), PHASES.index(r["last"]))
               for r in report["map"]]
    for i, (space, begin, end, first, last) in enumerate(regions):
        assert begin % 64 == 0 and end <= report[f"{space}_bytes"]
        for other_space, other_begin, other_end, other_first, other_last in regions[:i]:
            apart = end <= other_begin or other_end <= begin
            assert space != other_space or apart or last < other_first or other_last < first


def test_products():
    plan = ("plan", "--shape", "1,64,8,8", "--json", "--gemm")
    assert json.loads(good(*plan, "builtin"))["gemm"] == "edgeattn"
    automatic = json.loads(good(*plan, "auto"))["gemm"]
    alone = call(*plan, "xnnpack")
    if alone.returncode == 0:
        xnnpack = json.loads(alone.stdout)["gemm"]
        assert xnnpack.startswith("XNNPACK") and automatic in (xnnpack, "edgeattn"), (alone, automatic)
    else:
        assert alone.returncode == 1 and alone.stderr.count("\n") == 1 and "no XNNPACK" in alone.stderr, alone
        assert automatic == "edgeattn"
    report = json.loads(block_run("am.step0", "--json", "--gemm", "builtin", "--reference", ACTIVATIONS, "--reference-tensor",
                                  "am.step0.output"))
    assert report["gemm"] == "edgeattn" and report["max_abs_error"] <= LIMIT, report
    report = json.loads(good("bench", "--shape", "1,64,8,8", "--reps", "1", "--json", "--gemm", "builtin"))
    assert report["gemm"] == "edgeattn", report
    assert ", edgeattn; tiles of" in good("plan", "--shape", "1,64,8,8", "--gemm", "builtin")


def test_bench():
    report = json.loads(good("bench", "--shape", "2,64,16,16", "--reps", "7", "--json", "--svg", "speed.svg"))
    assert BENCH_KEYS <= set(report), report
    assert report["shape"] == [2, 64, 16, 16] and report["threads"] == 1 and report["reps"] == 7
    assert set(report["phases_ms"]) == set(PHASES[1:])
    assert 0 < report["best_ms"] <= report["median_ms"] and min(report["phases_ms"].values()) > 0
    n, c = 256, 64
    assert abs(report["gflop_naive"] - 2 * (8 * n * c * c + 4 * n * n * c) * 1e-9) < 1e-9
    assert abs(report["gflop_own"] - 2 * (4 * n * c * c + 4 * n * n * c) * 1e-9) < 1e-9
    assert abs(report["gflops_own"] - report["gflop_own"] / report["best_ms"] * 1e3) < 1e-6 * report["gflops_own"]
    assert report["fma_peak_gflops"] > 0
    assert abs(report["roofline_fraction"] - report["gflops_own"] / report["fma_peak_gflops"]) < 1e-6 * report["roofline_fraction"]
    assert xml.etree.ElementTree.parse("speed.svg").getroot().tag.endswith("svg")
    text = good("bench", "--weights", WEIGHTS, "--prefix", "a0.", "--shape", "1,64,8,8", "--threads", "2", "--layout",
                "nhwc", "--isa", "scalar", "--tile", "16,64")
    for part in ("2 threads, scalar", "nhwc", "tiles of 16 queries", "FMA peak", "softmax", "total", "best"):
        assert part in text, f"no {part!r} in: {text}"


def test_folded_weights():
    arguments = ("--input", ACTIVATIONS, "--tensor", "am.step0.input")
    good("run", "--weights", WEIGHTS, "--prefix", "am.", *arguments, "--output", "expected", "--eps", "1e-4")
    text = good("fold", "--weights", WEIGHTS, "--prefix", "am.", "--eps", "1e-4", "--output", "folded")
    assert "'am.'" in text and "eps 0.0001" in text, text
    for threads in ("0", "3"):
        good("fold", "--weights", WEIGHTS, "--prefix", "am.", "--eps", "1e-4", "--output", "again", "--threads", threads)
        assert pathlib.Path("again").read_bytes() == pathlib.Path("folded").read_bytes(), f"--threads {threads}"
        os.remove("again")
    good("run", "--weights", "folded", *arguments, "--output", "y")
    assert pathlib.Path("y").read_bytes() == pathlib.Path("expected").read_bytes()
    report = json.loads(good("inspect", "folded", "--json"))
    assert report["blocks"] == [{"prefix": "am.", "style": "edgeattn-folded", "channels": 128, "norm": "gn", "assumed": {},
                                 "needed": []}]
    assert not call("run", "--weights", "folded", *arguments, "--output", "y").notes
    assert {"name": "am.score.weight", "dtype": "F32", "shape": [128, 128]} in report["tensors"]
    assert os.path.getsize("folded") < 4 * (2 * 128 * 128 + 4 * 128) + 2000
    assert "eps 0.0001" in good("plan", "--weights", "folded", "--shape", "1,128,8,8")
    assert "total" in good("bench", "--weights", "folded", "--shape", "1,128,4,4", "--reps", "1")
    for option, value in (("--eps", "1e-5"), ("--groups", "16"), ("--norm", "in")):
        result = call("run", "--weights", "folded", *arguments, "--output", "z", option, value)
        assert result.returncode == 1 and "folded for" in result.stderr, result.stderr
    result = call("fold", "--weights", "folded", "--output", "z")
    assert result.returncode == 1 and "folded already" in result.stderr, result.stderr
    assert sorted(os.listdir(".")) == ["expected", "folded", "y"]


def test_families():
    pathlib.Path("w").write_bytes(SMALL)
    pathlib.Path("g").write_bytes(GUIDED)
    pathlib.Path("x").write_bytes(MAP)
    good("run", "--weights", "w", "--input", "x", "--output", "y", "--groups", "2")
    text = good("run", "--weights", "g", "--input", "x", "--output", "z", "--groups", "2", "--heads", "1")
    assert "guided-diffusion, gn with 2 groups, eps 1e-05\n" in text, text
    assert pathlib.Path("y").read_bytes() == pathlib.Path("z").read_bytes()
    assert json.loads(good("inspect", "g", "--json"))["blocks"] == [
        {"prefix": "", "style": "guided-diffusion", "channels": 4, "norm": "gn", "assumed": {"eps": 1e-5},
         "needed": ["heads", "groups"]}]
    assert "norm gn; needs --heads, --groups; assumes eps 1e-05\n" in good("inspect", "g")


def test_what_no_file_tells_is_said():
    am = ("--weights", WEIGHTS, "--prefix", "am.")
    x = ("--input", ACTIVATIONS, "--tensor", "am.step0.input")
    run = ("run", *am, *x, "--output", "y")
    commands = (run, ("plan", *am, "--shape", "1,128,8,8"), ("fold", *am, "--output", "f"),
                ("run", *am, *x, "--attention-map", "0,0", "-o", "m"))
    for options, said in (("", "--heads, --groups, --eps"), ("--heads 1", "--groups, --eps"), ("--groups 32", "--heads, --eps"),
                          ("--norm in", "--heads, --eps"), ("--eps 1e-5", "--heads, --groups"), ("--heads 1 --groups 32", None),
                          ("--heads 1 --norm in", None)):
        for command in commands:
            result = call(*command, *options.split())
            assert (result.returncode, result.stderr) == (0, ""), result
            if said is None:
                assert not result.notes, result.notes
                continue
            (note,) = result.notes
            assert "'am.'" in note and "ddpm" in note and note.endswith(f"({said})\n"), note
    report = json.loads(good(*run, "--json"))
    assert report["assumed"] == {"heads": 1, "groups": 32, "eps": 1e-5} and report["scale"] == 1 / math.sqrt(128), report
    assert json.loads(good(*run, "--json", "--heads", "1"))["assumed"] == {"groups": 32, "eps": 1e-5}
    assert json.loads(good(*run, "--json", "--heads", "1", "--groups", "32", "--eps", "1e-5"))["assumed"] == {}
    for command in (("bench", *am, "--shape", "1,128,4,4", "--reps", "1"), ("check", *am, *x, "--isa", "scalar")):
        assert len(call(*command).notes) == 1 and not call(*command, "--heads", "1", "--groups", "32").notes
    # Nothing is assumed of weights that there are none of.
    assert not call("plan", "--shape", "1,64,4,4").notes and not call("inspect", WEIGHTS).notes
    # Of diffusers' configuration, the factor of the output is assumed too.
    diffusers = {}
    for name, (shape, values) in ddpm_block(32, "a.").items():
        _, module, kind = name.split(".")
        if module == "to_qkv":
            for i, part in enumerate("qkv"):
                third = len(values) // 3
                diffusers[f"a.to_{part}.{kind}"] = ([shape[0] // 3, *shape[1:]], values[i * third:(i + 1) * third])
        else:
            diffusers[name.replace("to_out", "to_out.0").replace("norm", "group_norm")] = (shape, values)
    pathlib.Path("d").write_bytes(encoded(diffusers))
    plan = ("plan", "--weights", "d", "--shape", "1,32,2,2", "--eps", "1e-6", "--heads", "1")
    (note,) = call(*plan).notes
    assert "gn with 32 groups, an output over 1" in note and note.endswith("(--groups, --rescale-output)\n"), note
    assert not call(*plan, "--groups", "32", "--rescale-output", "1").notes
    assert "needs --heads, --eps; assumes gn with 32 groups, an output over 1\n" in good("inspect", "d")
    assert call("run", *plan[1:3], "--input", "d", "--output", "y").stderr.count("--") == 1


def test_scale_of_the_scores():
    pathlib.Path("w").write_bytes(SMALL)
    pathlib.Path("x").write_bytes(MAP)
    run = (*RUN.split(), "--groups", "2")
    good(*run)
    usual = pathlib.Path("y").read_bytes()
    report = json.loads(good(*run, "--scale", "0.5", "--json"))  # 1/sqrt(4)
    assert report["scale"] == 0.5 and pathlib.Path("y").read_bytes() == usual
    assert "scores times 2" in good(*run, "--scale", "2")
    scaled = pathlib.Path("y").read_bytes()
    assert scaled != usual
    # Four times the scale is four times the queries.
    block = ddpm_block(4)
    for name in ("to_qkv.weight", "to_qkv.bias"):
        shape, values = block[name]
        block[name] = (shape, [4 * value if i < len(values) // 3 else value for i, value in enumerate(values)])
    pathlib.Path("w4").write_bytes(encoded(block))
    good("run", "--weights", "w4", *run[3:])
    expected = decoded(pathlib.Path("y").read_bytes())["output"][1]
    assert largest_difference(decoded(scaled)["output"][1], expected) < 1e-5
    good("fold", "--weights", "w", "--groups", "2", "--scale", "2", "--output", "f")
    good("run", "--weights", "f", "--input", "x", "--output", "yf", "--scale", "2")
    assert largest_difference(decoded(pathlib.Path("yf").read_bytes())["output"][1], expected) < 1e-5
    result = call("run", "--weights", "f", "--input", "x", "--output", "yf", "--scale", "1")
    assert result.returncode == 1 and "scale: the weights were folded for 2, given 1" in result.stderr, result
    assert "scores times 2" in good("plan", "--shape", "1,64,4,4", "--scale", "2")
    assert "best" in good("bench", "--shape", "1,64,4,4", "--reps", "1", "--scale", "2")
    command = ("check", "--weights", "w", "--input", "x", "--groups", "2", "--isa", "scalar", "--json")
    check, plain = (json.loads(good(*command, *options)) for options in (("--scale", "2"), ()))
    assert abs(check["largest_score"] / plain["largest_score"] - 4) < 1e-6


def test_norms_by_other_names():
    pathlib.Path("x").write_bytes(MAP)
    pathlib.Path("w").write_bytes(SMALL)
    good(*RUN.split(), "--groups", "2")
    expected = pathlib.Path("y").read_bytes()
    for name in ("group_norm", "gn", "norm1", "norm.0", "GroupNorm_0"):
        block = {f"mid.{key.replace('norm', name)}": tensor for key, tensor in ddpm_block(4).items()}
        pathlib.Path("w").write_bytes(encoded(block))
        good(*RUN.split(), "--groups", "2")
        assert pathlib.Path("y").read_bytes() == expected
        assert len(json.loads(good("inspect", "w", "--json"))["blocks"]) == 1


def test_residual_and_rescaled_output():
    pathlib.Path("w").write_bytes(SMALL)
    pathlib.Path("x").write_bytes(MAP)
    options = ("--groups", "2", "--no-residual", "--rescale-output", "4")
    good("run", "--weights", "w", "--input", "x", "--output", "y", "--groups", "2")
    text = good("run", "--weights", "w", "--input", "x", "--output", "z", *options)
    assert "no residual, output over 4\n" in text, text
    plain, rescaled = (decoded(pathlib.Path(name).read_bytes())["output"][1] for name in ("y", "z"))
    assert largest_difference([4 * value + x for x, value in enumerate(rescaled)], plain) < 1e-5
    assert max(abs(value) for value in rescaled) > 0.01
    good("fold", "--weights", "w", "--output", "f", *options)
    report = json.loads(good("run", "--weights", "f", "--input", "x", "--output", "zf", "--json"))
    assert not report["residual"] and report["rescale_output"] == 4 and report["heads"] == 1
    assert pathlib.Path("z").read_bytes() == pathlib.Path("zf").read_bytes()
    result = call("run", "--weights", "f", "--input", "x", "--output", "n", "--rescale-output", "2")
    assert result.returncode == 1 and "folded for 4, given 2" in result.stderr, result.stderr


def test_outputs_and_inputs_of_16_bits():
    block_run("am.step100")
    shape, exact = decoded(pathlib.Path("out.safetensors").read_bytes())["output"]
    for name, dtype in (("f32", "F32"), ("f16", "F16"), ("bf16", "BF16")):
        block_run("am.step100", "--output-dtype", name, output="y")
        data = pathlib.Path("y").read_bytes()
        assert dtypes(data) == {"output": dtype} and decoded(data)["output"][0] == shape
        if dtype == "F32":
            assert data == pathlib.Path("out.safetensors").read_bytes()
            continue
        assert data.endswith(halves(dtype, exact)) and os.path.getsize("y") < 2 * len(exact) + 200
        # What is read back is what those bits mean.
        pathlib.Path("wide").write_bytes(encoded({"x": (shape, from_halves(dtype, halves(dtype, exact)))}))
        arguments = ("--weights", WEIGHTS, "--prefix", "am.")
        good("run", *arguments, "--input", "y", "--output", "from-narrow")
        good("run", *arguments, "--input", "wide", "--output", "from-wide")
        assert pathlib.Path("from-narrow").read_bytes() == pathlib.Path("from-wide").read_bytes()


def check_report(step="am.step0", *arguments):
    report = json.loads(good("check", "--weights", WEIGHTS, "--prefix", step[:3], "--input", ACTIVATIONS, "--tensor",
                             f"{step}.input", "--json", *arguments))
    assert CHECK_KEYS <= set(report) and [trial["precision"] for trial in report["precisions"]] == PRECISIONS, report
    return report


def rms(values):
    return math.sqrt(sum(value * value for value in values) / len(values))


def test_check_tells_the_errors_of_runs():
    for step in ("a0.step0", "am.step100"):
        report = check_report(step, "--isa", "scalar", "--threads", "2")
        shape, expected = activation(f"{step}.output")
        x = activation(f"{step}.input")[1]
        assert report["shape"] == shape and report["layout"] == "nchw" and report["threads"] == 2 and report["isa"] == "scalar"
        assert report["reference"] == "unfolded" and 1 < report["largest_score"] < 30, report
        scratch = []
        for trial in report["precisions"]:
            assert TRIAL_KEYS == set(trial) and trial["available"] and trial["run_ms"] > 0, trial
            block_run(step, "--isa", "scalar", "--precision", trial["precision"], output="y")
            errors = [y - e for y, e in zip(decoded(pathlib.Path("y").read_bytes())["output"][1], expected)]
            # The committed outputs are rounded to float32.
            assert abs(trial["max_abs_error"] - max(map(abs, errors))) <= 1e-6, trial
            relative = rms(errors) / rms([e - v for e, v in zip(expected, x)])
            assert abs(trial["relative_rms_error"] - relative) <= 1e-6 + 1e-3 * relative, (trial, relative)
            assert trial["relative_rms_error"] <= MOST_RELATIVE[trial["precision"]], trial
            pixel, (_, channels, height, width) = trial["worst_pixel"], shape
            at = [(pixel["image"] * channels + c) * height * width + pixel["row"] * width + pixel["column"] for c in range(channels)]
            assert abs(max(abs(errors[i]) for i in at) - trial["max_abs_error"]) <= 1e-6, trial
            scratch.append(trial["scratch_bytes"])
        f32, bf16, int8 = (trial["relative_rms_error"] for trial in report["precisions"])
        assert f32 < 0.1 * min(bf16, int8), report
        assert scratch[2] < scratch[1] < scratch[0], scratch


def test_check_says_what_the_machine_lacks():
    report = check_report("am.step0")
    for trial in report["precisions"]:
        reason = lacks(call, "--precision", trial["precision"])
        assert trial["available"] == (reason is None), (trial, reason)
        if reason:
            assert set(trial) == {"precision", "available", "reason"} and trial["reason"] == reason, (trial, reason)
            result = call(*REAL.split(), "--precision", trial["precision"])
            assert (result.returncode, result.stdout) == (1, "") and result.stderr.endswith(f"{reason}\n"), result
            assert result.stderr.count("\n") == 1 and not os.path.exists("y"), result
    if reason := lacks(call, "--isa", "avx2"):
        print(f"  {reason}")
        return
    arguments = CHECK.split() + ["--isa", "avx2"]
    text = good(*arguments)
    for part in ("bf16                  -", "missing    precision bf16 needs AVX512-BF16 and AVX512-VNNI", "missing    precision int8 needs "):
        assert part in text, f"no {part!r} in: {text}"
    result = call(*arguments, "--budget", "1")
    assert result.returncode == 1 and "bf16 is not available, int8 is not available" in result.stderr, result


def test_check_as_text_and_its_budget():
    text = good(*CHECK.split(), "--isa", "scalar")
    for part in ("'am.', ddpm, gn", "1 thread, scalar\n", "the unfolded formula in float64; scores reach"):
        assert part in text, f"no {part!r} in: {text}"
    table = text.split("\n\n")[1].splitlines()
    assert [line.split()[0] for line in table] == ["precision", *PRECISIONS] and len({len(line) for line in table}) == 1, text
    report = check_report("am.step0", "--isa", "scalar", "--budget", "0.5")
    times = {trial["precision"]: trial["run_ms"] for trial in report["precisions"]}
    assert report["budget"] == 0.5 and report["fastest"] == min(times, key=times.get), report
    assert "\nfastest    " in good(*CHECK.split(), "--isa", "scalar", "--budget", "0.5")


def test_check_layouts_and_what_is_not_added_to_x():
    def trials(*arguments):
        report = json.loads(good("check", "--weights", WEIGHTS, "--prefix", "am.", "--json", "--isa", "scalar", *arguments))
        return report["precisions"][1:]

    usual = ("--input", ACTIVATIONS, "--tensor", "am.step0.input")
    plain = trials(*usual)
    pathlib.Path("x").write_bytes(encoded({"x": transposed(*activation("am.step0.input"))}))
    for a, b in zip(plain, trials("--input", "x", "--layout", "nhwc")):
        assert a["worst_pixel"] == b["worst_pixel"] and a["max_abs_error"] == b["max_abs_error"], (a, b)
    # The error is over the attention term alone, whatever x and the divisor are.
    for a, b in zip(plain, trials(*usual, "--no-residual", "--rescale-output", "4")):
        assert abs(a["relative_rms_error"] - b["relative_rms_error"]) < 0.01 * a["relative_rms_error"], (a, b)
        assert b["max_abs_error"] < 0.3 * a["max_abs_error"], (a, b)
    for a, b in zip(plain, trials(*usual, "--rescale-output", "4")):
        assert abs(a["relative_rms_error"] - b["relative_rms_error"]) < 0.01 * a["relative_rms_error"], (a, b)


def test_check_warns_of_large_scores():
    pathlib.Path("x").write_bytes(MAP)

    def check_scaled(factor):
        names = ("to_qkv.weight", "to_qkv.bias")
        block = {name: (shape, [factor * value for value in values] if name in names else values)
                 for name, (shape, values) in ddpm_block(4).items()}
        pathlib.Path("w").write_bytes(encoded(block))
        arguments = ("check", "--weights", "w", "--input", "x", "--groups", "2", "--isa", "scalar")
        return json.loads(good(*arguments, "--json")), arguments

    natural = check_scaled(1)[0]["largest_score"]
    for score, warned in ((3.9, []), (4.1, ["int8"]), (29.9, ["int8"]), (30.1, ["bf16", "int8"])):
        report, arguments = check_scaled(math.sqrt(score / natural))
        assert abs(report["largest_score"] - score) < 1e-3, report
        assert [warning.split()[-1] for warning in report["warnings"]] == warned, report["warnings"]
    assert [line.split()[-1] for line in good(*arguments).splitlines() if line.startswith("warning")] == warned


def test_check_of_folded_weights_says_so():
    good("fold", "--weights", WEIGHTS, "--prefix", "am.", "-o", "folded")
    usual = check_report("am.step0", "--isa", "scalar")
    arguments = ("check", "--weights", "folded", "--input", ACTIVATIONS, "--tensor", "am.step0.input", "--isa", "scalar")
    report = json.loads(good(*arguments, "--json"))
    assert report["reference"] == "folded" and "the folded formula in float64" in good(*arguments)
    for a, b in zip(usual["precisions"][1:], report["precisions"][1:]):
        assert abs(a["relative_rms_error"] - b["relative_rms_error"]) < 0.01 * a["relative_rms_error"], (a, b)


def test_inspect():
    report = json.loads(good("inspect", WEIGHTS, "--json"))
    assert report["blocks"] == [{"prefix": prefix, "style": "ddpm", "channels": channels, "norm": "gn", "needed": [],
                                 "assumed": {"heads": 1, "groups": 32, "eps": 1e-5}}
                                for prefix, channels in (("a0.", 64), ("am.", 128))]
    assert {"name": "am.to_qkv.weight", "dtype": "F32", "shape": [384, 128, 1, 1]} in report["tensors"]
    text = good("inspect", WEIGHTS)
    assert "am.to_qkv.weight" in text and "prefix 'am.'" in text


def test_double_precision_weights():
    pathlib.Path("w").write_bytes(SMALL)
    pathlib.Path("d").write_bytes(encoded({name: (*tensor, "F64") for name, tensor in ddpm_block(4).items()}))
    pathlib.Path("x").write_bytes(MAP)
    good("run", "--weights", "w", "--input", "x", "--output", "y", "--groups", "2")
    report = json.loads(good("run", "--weights", "d", "--input", "x", "--output", "z", "--groups", "2", "--json",
                             "--reference", "y"))
    assert report["max_abs_error"] < 1e-5, report


def test_progress_on_a_terminal_only():
    pathlib.Path("w").write_bytes(encoded(ddpm_block(32)))

    def arguments(images):
        pathlib.Path("x").write_bytes(encoded({"x": ([images, 32, 64, 64], bytes(images * 32 * 64 * 64 * 4))}))
        return ["run", "--weights", "w", "--input", "x", "--output", "/dev/null", "--json"]

    def on_terminal(images):
        """Time of the run, and what it showed."""
        leader, follower = pty.openpty()
        try:
            result = subprocess.run([*TOOL, *arguments(images)], stderr=follower, stdout=subprocess.PIPE, timeout=300, check=True)
        finally:
            os.close(follower)
        shown = b""
        with os.fdopen(leader, "rb", buffering=0) as terminal, contextlib.suppress(OSError):  # an error if nothing was shown
            shown = terminal.read(10000)
        return json.loads(result.stdout)["run_ms"], shown.decode()

    good(*arguments(1))
    try:
        for end in pty.openpty():
            os.close(end)
    except OSError:
        print("  no terminals here: only their absence tested")
        return
    run_ms, images = 0, 2
    while run_ms < 1500 and images < 256:  # machines differ, and so does their load
        images *= 2
        run_ms, shown = on_terminal(images)
    assert run_ms > 1000, f"{images} images in {run_ms} ms"
    assert "running… 1 s" in shown and shown.endswith("\r\033[K"), repr(shown)


def test_readme_holds_the_example_as_it_is_compiled():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert (ROOT / "examples/minimal.cc").read_text(encoding="utf-8") in readme


def passes(name, check):
    """Runs one check in a folder of its own."""
    home = os.getcwd()
    output = io.StringIO()
    with tempfile.TemporaryDirectory(prefix="edgeattn-cli-") as folder:
        os.chdir(folder)
        try:
            check()
            return True
        except Exception:  # every failure is reported, and the next check runs
            traceback.print_exc(file=output)
            print(f"FAILED: {name}\n{output.getvalue()}")
            return False
        finally:
            os.chdir(home)


SAMPLED = (test_help_and_version, test_real_data_on_every_instruction_set, test_channels_last, test_summary_names_what_the_file_does_not_tell,
           test_attention_map_as_a_picture, test_plan, test_products, test_bench, test_folded_weights, test_outputs_and_inputs_of_16_bits,
           test_check_says_what_the_machine_lacks)


def run_checks(checks):
    """Exit code of a program of checks: pairs of a name and a function without arguments."""
    results = [passes(name, check) for name, check in checks]
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 1 if False in results else 0


def main():
    checks = [(f"edgeattn {row[1]}", lambda row=row: check_wrong(*row)) for row in WRONG[::12 if SAMPLE else 1]]
    checks += [(name, check) for name, check in globals().items() if name.startswith("test_") and (not SAMPLE or check in SAMPLED)]
    return run_checks(checks)


if __name__ == "__main__":
    sys.exit(main())
