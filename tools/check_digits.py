#!/usr/bin/env python3
"""Runs blocks of the digits UNet on their real inputs, with every instruction set of this machine, and compares the
outputs with those computed in float64: check_digits.py EDGEATTN BLOCKS.safetensors ACTIVATIONS.safetensors PREFIX…

Prints a table, then "N passed, N failed"; exits 1 if a difference is above the limit.
"""
import json
import platform
import subprocess
import sys

LIMIT = 2e-6
STEPS = (199, 100, 0)
# What Linux calls the features that each instruction set needs.
FEATURES = {"scalar": set(), "avx2": {"avx2", "fma"}, "avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
            "neon": {"asimd"} if platform.machine() == "aarch64" else {"neon", "vfpv4"}}


def machine_features():
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        return next((set(line.split()) for line in cpuinfo if line.startswith(("flags", "Features"))), set())


def run(tool, blocks, activations, prefix, step, isa):
    """The tool's JSON report, or None after an error, which the tool has printed."""
    activation = f"{prefix}step{step}"
    command = [tool, "run", "--weights", blocks, "--prefix", prefix, "--isa", isa, "--json", "--input", activations,
               "--tensor", f"{activation}.input", "--reference", activations, "--reference-tensor",
               f"{activation}.output", "--output", "/dev/null"]
    result = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    return json.loads(result.stdout) if result.returncode == 0 else None


def main():
    tool, blocks, activations, *prefixes = sys.argv[1:]
    have = machine_features()
    passed = failed = 0
    print(f"{'isa':8}{'block':7}{'step':>4}  {'shape':16}{'max abs error':>14}{'run ms':>9}   (limit {LIMIT:g})")
    for isa, needs in FEATURES.items():
        if not needs <= have:
            print(f"{isa:8}skipped: this machine has no {isa}")
            continue
        for prefix in prefixes:
            for step in STEPS:
                report = run(tool, blocks, activations, prefix, step, isa)
                error = report["max_abs_error"] if report else None
                good = error is not None and error <= LIMIT and report["isa"] == isa
                passed, failed = passed + good, failed + (not good)
                shape = "x".join(map(str, report["shape"])) if report else "-"
                cells = (f"{error:14.2e}" if error is not None else f"{'none':>14}") + \
                    (f"{report['run_ms']:9.3f}" if report else f"{'-':>9}")
                print(f"{isa:8}{prefix:7}{step:4}  {shape:16}{cells}   {'ok' if good else 'FAILED'}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
