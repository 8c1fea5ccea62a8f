#!/usr/bin/env python3
"""The error of reduced precision against the size of the scores, on random blocks: precision_curve.py EDGEATTN

Prints the table of docs/precision.md. Weights and images are normal; those of q are scaled for scores of every size.
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # the source tree stays as it is
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
from crafted import encoded

CHANNELS, SIDE = 256, 16
GAINS = (0.125, 0.25, 0.5, 1, 1.5, 2, 4, 8, 16)


def normal(count, deviation):
    return [random.gauss(0, deviation) for _ in range(count)]


def block(gain):
    c, deviation = CHANNELS, CHANNELS ** -0.5
    return {"norm.weight": ([c], normal(c, 1)), "norm.bias": ([c], normal(c, 0.1)),
            "to_qkv.weight": ([3 * c, c], normal(c * c, gain * deviation) + normal(2 * c * c, deviation)),
            "to_qkv.bias": ([3 * c], normal(c, 0.1 * gain) + normal(2 * c, 0.1)),
            "to_out.weight": ([c, c], normal(c * c, deviation)), "to_out.bias": ([c], normal(c, 0.1))}


def main():
    random.seed(1)
    print("| largest score | bf16 | int8 |\n| ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory(prefix="edgeattn-curve-") as folder:
        weights, image = pathlib.Path(folder, "weights"), pathlib.Path(folder, "image")
        image.write_bytes(encoded({"x": ([1, CHANNELS, SIDE, SIDE], normal(CHANNELS * SIDE * SIDE, 1))}))
        for gain in GAINS:
            weights.write_bytes(encoded(block(gain)))
            report = json.loads(subprocess.run([sys.argv[1], "check", "--weights", weights, "--input", image, "--json"],
                                               check=True, capture_output=True, text=True).stdout)
            errors = {trial["precision"]: trial.get("relative_rms_error") for trial in report["precisions"]}
            cells = ("-" if errors[precision] is None else f"{errors[precision]:.1e}" for precision in ("bf16", "int8"))
            print(f"| {report['largest_score']:.1f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
