"""Times edgeattn and other runtimes on one block, checks that they agree, and draws a chart: see README.md."""
import datetime
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

import chart
import options
from common import write_input, write_weights
from machine import busy_share, processor_name
from options import PRECISIONS
from table import complaints, print_table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OUT = ROOT / "build" / "peers"
TOOL = ROOT / "build" / "peers-edgeattn" / "src" / "edgeattn"
OWN = "edgeattn"
# Each runtime's worker and the options that choose it, the name that people know, and its precisions.
RUNTIMES = {
    OWN: ("worker_edgeattn.py", ["--tool", str(TOOL)], "edgeattn", PRECISIONS),
    "torch": ("worker_torch.py", ["--mode", "eager"], "PyTorch", ["f32", "bf16"]),
    "torch-compiled": ("worker_torch.py", ["--mode", "compiled"], "PyTorch compiled", ["f32", "bf16"]),
    "onnxruntime": ("worker_onnxruntime.py", [], "ONNX Runtime", ["f32"]),
    "openvino": ("worker_openvino.py", [], "OpenVINO", ["f32", "bf16"]),
}
# Of peers in bfloat16 y itself is rounded, x included.
MOST_ERROR = {"f32": 1e-3, "bf16": 0.1, "int8": 0.1}
MOST_BUSY = 0.1


@dataclass(frozen=True)
class Candidate:
    """A runtime at one precision: what has a column of its own."""
    runtime: str
    precision: str

    @property
    def key(self):
        return self.runtime if self.precision == "f32" else f"{self.runtime}-{self.precision}"

    @property
    def label(self):
        return RUNTIMES[self.runtime][2] + ("" if self.precision == "f32" else f" {self.precision}")


def candidates(precisions, only):
    """edgeattn at each precision, then the peers: in float32, and in bfloat16 if any precision is reduced."""
    reduced = precisions != ["f32"]
    chosen = [Candidate(OWN, precision) for precision in precisions]
    for runtime, (_, _, _, known) in RUNTIMES.items():
        if runtime != OWN and (not only or runtime in only):
            chosen += [Candidate(runtime, precision) for precision in known if reduced or precision == "f32"]
    return {candidate.key: candidate for candidate in chosen}


def name_of(shape):
    batch, channels, height, width = shape
    return (f"B{batch} " if batch > 1 else "") + f"C{channels} {height}×{width}"


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def work(candidate, files, threads, seconds, form):
    """What one worker process reports: its times, or why it has none as `skipped` or `failed`."""
    script, chosen, _, _ = RUNTIMES[candidate.runtime]
    command = [sys.executable, "-B", str(HERE / script), *chosen, "--precision", candidate.precision,
               "--threads", str(threads), "--seconds", str(seconds), "--form", form]
    for option, path in files.items():
        command += [f"--{option}", str(path)]
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), TORCHINDUCTOR_CACHE_DIR=str(OUT / "inductor"))
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return json.loads(result.stdout.splitlines()[-1])
    said = [line for line in result.stderr.splitlines() if line.strip()]
    return {"failed": said[-1] if said else f"{script} ended with {result.returncode}"}


def merge(known, report):
    """The better one of two rounds of a runtime, with the best milliseconds of all; `known` may be None."""
    if "best_ms" not in report:
        return report
    rounds = [*(known["rounds_ms"] if known else []), report["best_ms"]]
    return {**(known if known and known["best_ms"] <= report["best_ms"] else report), "rounds_ms": rounds}


def compare(shape, threads, chosen, base, rounds, seconds):
    """One shape with one number of threads: {key: report} of the chosen candidates."""
    inputs = {"weights": OUT / f"weights-c{shape[1]}.safetensors", "input": OUT / "input.safetensors"}
    outputs = {key: OUT / f"output-{key}.safetensors" for key in chosen}
    write_weights(inputs["weights"], shape[1])
    write_input(inputs["input"], shape)
    reports, keys = {}, list(chosen)
    for turn in range(rounds):
        # Every round begins with another runtime, so that none always follows the same one.
        first = turn % len(keys)
        for key in keys[first:] + keys[:first]:
            known = reports.get(key)
            if known and "best_ms" not in known:
                continue
            progress(f"{name_of(shape)}, threads {threads}, round {turn + 1} of {rounds}: {chosen[key].label}")
            report = work(chosen[key], {**inputs, "output": outputs[key]}, threads, seconds, known["form"] if known else "")
            reports[key] = merge(known, report)
    progress("")
    add_ratios(reports, base)
    add_errors(reports, outputs, chosen)
    for path in (inputs["input"], *outputs.values()):
        path.unlink(missing_ok=True)
    return reports


def add_ratios(reports, base):
    """Times over those of `base`, edgeattn at one precision."""
    for key, report in reports.items():
        if key != base and "best_ms" in report and "best_ms" in reports[base]:
            report["ratio"] = report["best_ms"] / reports[base]["best_ms"]


def add_errors(reports, outputs, chosen):
    """Compares outputs with edgeattn's of its highest precision here. A runtime that disagrees has failed."""
    own = next((key for key in reports if chosen[key].runtime == OWN and "best_ms" in reports[key]), None)
    if own is None:
        return
    expected = load_file(outputs[own])["output"].astype(np.float64)
    for key, report in reports.items():
        if key == own or "best_ms" not in report:
            continue
        error = float(np.max(np.abs(load_file(outputs[key])["output"] - expected)))
        most = max(MOST_ERROR[chosen[key].precision], MOST_ERROR[chosen[own].precision])
        report["max_abs_error"] = error
        if not error < most:
            report["failed"] = f"differs from {chosen[own].label} by {error:.1e}, expected less than {most:g}"


def versions_of(results, chosen):
    """{name: version} of the runtimes that ran, each once."""
    return {RUNTIMES[chosen[key].runtime][2].removesuffix(" compiled"): report["version"]
            for case in results for key, report in case["runtimes"].items() if "version" in report}


def main():
    asked = options.parse([name for name in RUNTIMES if name != OWN])
    if not TOOL.exists():
        sys.exit(f"compare.py: {TOOL.relative_to(ROOT)} is missing; start bench/peers/run.sh, which builds it")
    OUT.mkdir(parents=True, exist_ok=True)
    chosen = candidates(asked.precision, asked.only)
    labels = {key: candidate.label for key, candidate in chosen.items()}
    base = Candidate(OWN, asked.precision[-1]).key
    busy = busy_share()
    if busy > MOST_BUSY:
        print(f"compare.py: others use {busy:.0%} of this machine; the times will mean little", file=sys.stderr)

    results = []
    for threads in asked.threads:
        cases = [{"shape": shape, "name": name_of(shape), "threads": threads,
                  "runtimes": compare(shape, threads, chosen, base, asked.rounds, asked.seconds)}
                 for shape in asked.shapes]
        print_table(cases, labels, base)
        results += cases
    report = {"date": datetime.date.today().isoformat(), "processor": processor_name(), "busy_before": round(busy, 3),
              "command": shlex.join(["bench/peers/run.sh", *sys.argv[1:]]), "rounds": asked.rounds,
              "seconds": asked.seconds, "precisions": asked.precision, "versions": versions_of(results, chosen),
              "results": results}
    (OUT / "results.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    chart.draw(report, labels, base, [OUT / "chart.svg", OUT / "chart.png"])

    print(f"\n{report['date']}, {report['processor']}; {chart.list_versions(report)}")
    failures = complaints(results, labels, "failed")
    for line in complaints(results, labels, "skipped") + failures:
        print(line)
    print("written: build/peers/results.json, build/peers/chart.svg, build/peers/chart.png")
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("compare.py: interrupted")
    except OSError as error:
        sys.exit(f"compare.py: {error}")
