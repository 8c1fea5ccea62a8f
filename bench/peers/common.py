"""What the workers share: the block that all of them run, how they are started, and how a run is timed."""
import argparse
import json
import math
import sys
import time
from dataclasses import dataclass

import numpy as np
from safetensors.numpy import load_file, save_file

from shapes import GROUPS

EPS = 1e-5
WEIGHTS_SEED, INPUT_SEED = 1, 2
LEAST_RUNS = 5


class Skip(Exception):
    """The runtime cannot run here, for a reason that is no fault of the comparison."""


@dataclass
class Job:
    """One measurement: files with the block's weights, its x [B, C, H, W], and where y goes; `precision` is f32, bf16 or int8."""
    weights: str
    input: str
    output: str
    precision: str
    threads: int
    seconds: float
    form: str


@dataclass
class Block:
    """y = x + to_out(softmax(q kᵀ / √C) v), with q, k, v = split(to_qkv(GroupNorm(x))), in NumPy arrays."""
    gamma: np.ndarray
    beta: np.ndarray
    qkv_weight: np.ndarray  # [3C, C]
    qkv_bias: np.ndarray
    out_weight: np.ndarray  # [C, C]
    out_bias: np.ndarray
    x: np.ndarray  # [B, C, H, W]
    threads: int

    @property
    def channels(self):
        return self.x.shape[1]

    @property
    def tokens(self):
        return self.x.shape[2] * self.x.shape[3]

    @property
    def scale(self):
        return 1 / math.sqrt(self.channels)


def write_weights(path, channels):
    """Normal random weights as edgeattn reads them: projections of deviation 1/√C."""
    random = np.random.default_rng([WEIGHTS_SEED, channels])

    def draw(*shape, mean=0.0, deviation=0.1):
        return (mean + deviation * random.standard_normal(shape)).astype(np.float32)

    projection = 1 / math.sqrt(channels)
    save_file({"norm.weight": draw(channels, mean=1), "norm.bias": draw(channels),
               "to_qkv.weight": draw(3 * channels, channels, 1, 1, deviation=projection),
               "to_qkv.bias": draw(3 * channels),
               "to_out.weight": draw(channels, channels, 1, 1, deviation=projection),
               "to_out.bias": draw(channels)}, path)


def write_input(path, shape):
    save_file({"input": np.random.default_rng([INPUT_SEED, *shape]).standard_normal(shape, np.float32)}, path)


def read_block(job):
    tensors = load_file(job.weights)
    channels = tensors["norm.weight"].size
    return Block(gamma=tensors["norm.weight"], beta=tensors["norm.bias"],
                 qkv_weight=tensors["to_qkv.weight"].reshape(3 * channels, channels),
                 qkv_bias=tensors["to_qkv.bias"],
                 out_weight=tensors["to_out.weight"].reshape(channels, channels), out_bias=tensors["to_out.bias"],
                 x=load_file(job.input)["input"], threads=job.threads)


def time_runs(run, seconds):
    """Milliseconds of each run, sorted: as many as take `seconds` after a warm-up of a quarter of that."""
    def repeat(duration, least):
        times = []
        end = time.perf_counter() + duration
        while len(times) < least or time.perf_counter() < end:
            start = time.perf_counter()
            run()
            times.append((time.perf_counter() - start) * 1e3)
        return times

    repeat(seconds / 4, 1)
    return sorted(repeat(seconds, LEAST_RUNS))


def median(values):
    """The median of values that are sorted."""
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


def fastest_form(block, forms, seconds):
    """The name of the form of the block that this runtime runs fastest, after a short trial of each."""
    trials = {name: time_runs(make(block)[0], seconds / 4)[0] for name, make in forms.items()}
    return min(trials, key=trials.get)


def measure_forms(job, version, forms):
    """Runs and times the fastest form, or the one that the job names, and writes its y. `forms` maps names to functions
    from a Block to (run, result): run() computes y, result() gives it as an array."""
    block = read_block(job)
    form = job.form or fastest_form(block, forms, job.seconds)
    run, result = forms[form](block)
    run()
    save_file({"output": np.ascontiguousarray(result(), np.float32)}, job.output)
    times = time_runs(run, job.seconds)
    return {"version": version, "form": form, "best_ms": times[0], "median_ms": median(times), "runs": len(times)}


def serve(measure, options=()):
    """A worker's main: reads the job from the command line and prints what measure(job, arguments) says as one line of
    JSON. `options` are names of further options."""
    parser = argparse.ArgumentParser()
    for name in ("weights", "input", "output", "precision"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--form", default="")
    for name in options:
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    job = Job(**{name: getattr(arguments, name) for name in Job.__dataclass_fields__})
    try:
        report = measure(job, arguments)
    except Skip as reason:
        report = {"skipped": str(reason)}
    except Exception as error:  # any library's own: told in one line, as everything else
        text = " ".join(str(error).split())[:300]
        sys.exit(f"{type(error).__name__}: {text}")
    print(json.dumps(report), flush=True)
