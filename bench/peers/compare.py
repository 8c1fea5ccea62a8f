"""Times edgeattn and other runtimes on one block, checks that they agree, and draws a chart: see README.md."""
import datetime
import json
import shlex
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

import chart
import figures
import options
import rounds
from common import write_input, write_weights
from machine import busy_share, processor_name
from progress import Progress
from runtimes import CANDIDATES, OWN, RUNTIMES, base_of, choose
from shapes import name_of
from table import complaints, print_table
from tool import refusal
from verdict import verdicts

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "peers"
TOOL = ROOT / "build" / "peers-edgeattn" / "src" / "edgeattn"
# Of peers in bfloat16 y itself is rounded, x included.
MOST_ERROR = {"f32": 1e-3, "bf16": 0.1, "int8": 0.1}
MOST_BUSY = 0.1
INTERRUPTED = 130


def measure_case(case, chosen, base, setting, progress):
    """One shape with one number of threads, into case["runtimes"]."""
    files = {"weights": OUT / f"weights-c{case['shape'][1]}.safetensors", "input": OUT / "input.safetensors"}
    outputs = {key: OUT / f"output-{key}.safetensors" for key in chosen}
    write_weights(files["weights"], case["shape"][1])
    write_input(files["input"], case["shape"])
    try:
        rounds.measure(case, chosen, setting, progress, files, outputs)
        add_errors(case["runtimes"], outputs)
    finally:
        rounds.add_ratios(case["runtimes"], base)
        for path in (files["input"], *outputs.values()):
            path.unlink(missing_ok=True)


def add_errors(reports, outputs):
    """Compares outputs with edgeattn's of its highest precision here. A runtime that disagrees has failed."""
    own = next((key for key in reports if CANDIDATES[key].runtime == OWN and "best_ms" in reports[key]), None)
    if own is None:
        return
    expected = load_file(outputs[own])["output"].astype(np.float64)
    for key, report in reports.items():
        if key == own or "best_ms" not in report:
            continue
        error = float(np.max(np.abs(load_file(outputs[key])["output"] - expected)))
        most = max(MOST_ERROR[CANDIDATES[key].precision], MOST_ERROR[CANDIDATES[own].precision])
        report["max_abs_error"] = error
        if not error < most:
            report["failed"] = f"differs from {CANDIDATES[own].label} by {error:.1e}, expected less than {most:g}"


def measure_all(asked, chosen, base, labels, results):
    """Measures case after case into `results`, and prints their tables. False where it was interrupted."""
    setting = rounds.Setting(asked.rounds, asked.seconds,
                             ("--tool", str(TOOL), "--gemm", asked.gemm, "--isa", asked.isa), OUT)
    count = len(asked.threads) * len(asked.shapes)
    progress = Progress(rounds.plan(setting, chosen, count), count)
    for threads in asked.threads:
        cases = [{"shape": shape, "name": name_of(shape), "threads": threads, "runtimes": {}} for shape in asked.shapes]
        try:
            for case in cases:
                measure_case(case, chosen, base, setting, progress)
        except KeyboardInterrupt:
            progress.interrupt()
            return False
        finally:
            results += [case for case in cases if case["runtimes"]]
            print_table([case for case in cases if case["runtimes"]], labels, base)
    return True


def versions_of(results):
    """{name: version} of the runtimes that ran, each once."""
    return {RUNTIMES[CANDIDATES[key].runtime].label.removesuffix(" compiled"): report["version"]
            for case in results for key, report in case["runtimes"].items() if "version" in report}


def save(report, asked):
    """Writes the report, its charts and the figures that were asked for; returns the names of the files."""
    figures.write(OUT / "results.json", report)
    keys = figures.all_keys(report)
    panels = [chart.panel(report, keys, threads) for threads in asked.threads]
    (OUT / "chart.svg").write_text(chart.draw(panels), encoding="utf-8")
    written = ["build/peers/results.json", "build/peers/chart.svg"]
    if asked.figures:
        written += figures.keep(asked.figures, report)
    return written


def main():
    asked = options.parse()
    if not TOOL.exists():
        sys.exit(f"compare.py: {TOOL.relative_to(ROOT)} is missing; start bench/peers/run.sh, which builds it")
    refused = refusal([str(TOOL)], asked)
    if refused:
        print(f"bench/peers/run.sh: {refused[0]}", file=sys.stderr)
        return refused[1]
    OUT.mkdir(parents=True, exist_ok=True)
    chosen = choose(asked.precision, asked.only)
    labels = {key: candidate.label for key, candidate in chosen.items()}
    base = base_of(asked.precision)
    commit, busy = figures.commit(), busy_share()
    if asked.figures and not commit:
        sys.exit("compare.py: --figures keeps the commit that was measured, which git does not tell here")
    if busy > MOST_BUSY:
        print(f"compare.py: others use {busy:.0%} of this machine; the times will mean little", file=sys.stderr)

    results = []
    complete = measure_all(asked, chosen, base, labels, results)
    report = {"date": datetime.date.today().isoformat(), "commit": commit, "processor": processor_name(),
              "busy_before": round(busy, 3), "command": shlex.join(["bench/peers/run.sh", *sys.argv[1:]]),
              "rounds": asked.rounds, "seconds": asked.seconds, "precisions": asked.precision,
              "versions": versions_of(results), "results": results}
    if results:
        print(f"\n{report['date']}, {report['processor']}; "
              f"{', '.join(f'{name} {version}' for name, version in report['versions'].items())}")
    failures = complaints(results, labels, "failed")
    for line in verdicts(results, chosen) + complaints(results, labels, "skipped") + failures:
        print(line)
    if not complete:
        print(f"partial: interrupted, so {'only what is above' if results else 'nothing'} was measured, and no file was written")
        return INTERRUPTED
    print(f"written: {', '.join(save(report, asked))}")
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("compare.py: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (OSError, ValueError) as error:
        sys.exit(f"compare.py: {error}")
