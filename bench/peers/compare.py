"""Times edgeattn and other runtimes on one block, checks that they agree, and draws a chart: see README.md."""
import datetime
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

import chart
import options
from common import write_input, write_weights
from machine import busy_share, processor_name
from table import complaints, print_table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OUT = ROOT / "build" / "peers"
TOOL = ROOT / "build" / "peers-edgeattn" / "src" / "edgeattn"
OWN = "edgeattn"
# Each runtime's worker and the options that choose it, and the name that people know.
RUNTIMES = {
    OWN: ("worker_edgeattn.py", ["--tool", str(TOOL)], "edgeattn"),
    "torch": ("worker_torch.py", ["--mode", "eager"], "PyTorch"),
    "torch-compiled": ("worker_torch.py", ["--mode", "compiled"], "PyTorch compiled"),
    "onnxruntime": ("worker_onnxruntime.py", [], "ONNX Runtime"),
    "openvino": ("worker_openvino.py", [], "OpenVINO"),
}
MOST_ERROR = 1e-3
MOST_BUSY = 0.1


def name_of(shape):
    batch, channels, height, width = shape
    return (f"B{batch} " if batch > 1 else "") + f"C{channels} {height}×{width}"


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def work(runtime, files, threads, seconds, form):
    """What one worker process reports: its times, or why it has none as `skipped` or `failed`."""
    script, chosen, _ = RUNTIMES[runtime]
    command = [sys.executable, "-B", str(HERE / script), *chosen, "--threads", str(threads), "--seconds", str(seconds),
               "--form", form]
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


def compare(shape, threads, runtimes, rounds, seconds):
    """One shape with one number of threads: {runtime: report}."""
    inputs = {"weights": OUT / f"weights-c{shape[1]}.safetensors", "input": OUT / "input.safetensors"}
    outputs = {runtime: OUT / f"output-{runtime}.safetensors" for runtime in runtimes}
    write_weights(inputs["weights"], shape[1])
    write_input(inputs["input"], shape)
    reports = {}
    for turn in range(rounds):
        # Every round begins with another runtime, so that none always follows the same one.
        first = turn % len(runtimes)
        for runtime in runtimes[first:] + runtimes[:first]:
            known = reports.get(runtime)
            if known and "best_ms" not in known:
                continue
            progress(f"{name_of(shape)}, threads {threads}, round {turn + 1} of {rounds}: {RUNTIMES[runtime][2]}")
            report = work(runtime, {**inputs, "output": outputs[runtime]}, threads, seconds,
                          known["form"] if known else "")
            reports[runtime] = merge(known, report)
    progress("")
    add_ratios_and_errors(reports, outputs)
    for path in (inputs["input"], *outputs.values()):
        path.unlink(missing_ok=True)
    return reports


def add_ratios_and_errors(reports, outputs):
    """Compares times and outputs with edgeattn's. A runtime that disagrees has failed."""
    own = reports[OWN]
    if "best_ms" not in own:
        return
    own_output = load_file(outputs[OWN])["output"].astype(np.float64)
    for runtime, report in reports.items():
        if runtime == OWN or "best_ms" not in report:
            continue
        report["ratio"] = report["best_ms"] / own["best_ms"]
        error = float(np.max(np.abs(load_file(outputs[runtime])["output"] - own_output)))
        report["max_abs_error"] = error
        if not error < MOST_ERROR:
            report["failed"] = f"differs from edgeattn by {error:.1e}, expected less than {MOST_ERROR:g}"


def versions_of(results):
    """{name: version} of the runtimes that ran, PyTorch once."""
    return {RUNTIMES[runtime][2].removesuffix(" compiled"): report["version"]
            for case in results for runtime, report in case["runtimes"].items() if "version" in report}


def main():
    chosen = options.parse([name for name in RUNTIMES if name != OWN])
    if not TOOL.exists():
        sys.exit(f"compare.py: {TOOL.relative_to(ROOT)} is missing; start bench/peers/run.sh, which builds it")
    OUT.mkdir(parents=True, exist_ok=True)
    labels = {name: label for name, (_, _, label) in RUNTIMES.items()
              if name == OWN or not chosen.only or name in chosen.only}
    busy = busy_share()
    if busy > MOST_BUSY:
        print(f"compare.py: others use {busy:.0%} of this machine; the times will mean little", file=sys.stderr)

    results = []
    for threads in chosen.threads:
        cases = [{"shape": shape, "name": name_of(shape), "threads": threads,
                  "runtimes": compare(shape, threads, list(labels), chosen.rounds, chosen.seconds)}
                 for shape in chosen.shapes]
        print_table(cases, labels)
        results += cases
    report = {"date": datetime.date.today().isoformat(), "processor": processor_name(), "busy_before": round(busy, 3),
              "command": shlex.join(["bench/peers/run.sh", *sys.argv[1:]]), "rounds": chosen.rounds,
              "seconds": chosen.seconds, "versions": versions_of(results), "results": results}
    (OUT / "results.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    chart.draw(report, labels, [OUT / "chart.svg", OUT / "chart.png"])

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
