"""The measurements of one case, a shape with a number of threads: every runtime in a process of its own, in turns."""
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from runtimes import OWN, RUNTIMES
from shapes import threads_text

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Setting:
    """How all measurements of a comparison are made: `own_options` are of edgeattn's worker, `folder` is for files."""
    rounds: int
    seconds: float
    own_options: tuple
    folder: Path


def work(setting, candidate, files, threads, form):
    """What one worker process reports: its times, or why it has none as `skipped` or `failed`."""
    runtime = RUNTIMES[candidate.runtime]
    command = [sys.executable, "-B", str(HERE / runtime.worker), *runtime.options,
               *(setting.own_options if candidate.runtime == OWN else ()), "--precision", candidate.precision,
               "--threads", str(threads), "--seconds", str(setting.seconds), "--form", form]
    for option, path in files.items():
        command += [f"--{option}", str(path)]
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), TORCHINDUCTOR_CACHE_DIR=str(setting.folder / "inductor"))
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return json.loads(result.stdout.splitlines()[-1])
    said = [line for line in result.stderr.splitlines() if line.strip()]
    return {"failed": said[-1] if said else f"{runtime.worker} ended with {result.returncode}"}


def merge(known, report):
    """The better one of two rounds of a runtime, with the best milliseconds of all; `known` may be None."""
    if "best_ms" not in report:
        return report
    rounds = [*(known["rounds_ms"] if known else []), report["best_ms"]]
    return {**(known if known and known["best_ms"] <= report["best_ms"] else report), "rounds_ms": rounds}


def kind_of(key, turn):
    """Measurements that take alike: a first one also compiles, and chooses the form."""
    return key, turn == 0


def plan(setting, chosen, cases):
    """How many measurements of each kind there will be."""
    return Counter(kind_of(key, turn) for key in chosen for turn in range(setting.rounds) for _ in range(cases))


def measure(case, chosen, setting, progress, files, outputs, worker=work):
    """Fills in case["runtimes"], {key: report}, round by round, so that an interrupt leaves what was measured before it."""
    reports, keys = case["runtimes"], list(chosen)
    place = f"{case['name']}, {threads_text(case['threads'])}"
    for turn in range(setting.rounds):
        # Every round begins with another runtime, so that none always follows the same one.
        first = turn % len(keys)
        for key in keys[first:] + keys[:first]:
            known, kind = reports.get(key), kind_of(key, turn)
            if known and "best_ms" not in known:
                progress.drop(kind)
                continue
            what = f"{place}, round {turn + 1} of {setting.rounds}, {chosen[key].label}"
            reports[key] = progress.measure(what, kind, lambda: merge(known, worker(
                setting, chosen[key], {**files, "output": outputs[key]}, case["threads"], known["form"] if known else "")))
    progress.end_case(f"{place}: measured")


def add_ratios(reports, base):
    """Times over those of `base`, edgeattn at one precision."""
    for key, report in reports.items():
        if key != base and "best_ms" in report and "best_ms" in reports.get(base, {}):
            report["ratio"] = report["best_ms"] / reports[base]["best_ms"]
