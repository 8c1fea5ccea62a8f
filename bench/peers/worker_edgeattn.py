"""Runs and times the block with the edgeattn tool."""
import json
import subprocess

from safetensors import safe_open

from common import EPS, LEAST_RUNS, serve
from shapes import GROUPS


def measure(job, arguments):
    def call(*words):
        result = subprocess.run([arguments.tool, *words], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise RuntimeError(result.stderr.strip() or f"edgeattn {words[0]} failed with {result.returncode}")
        return result.stdout

    block = ["--weights", job.weights, "--groups", str(GROUPS), "--eps", str(EPS), "--threads", str(job.threads),
             "--precision", job.precision, "--gemm", arguments.gemm, "--isa", arguments.isa, "--json"]
    with safe_open(job.input, framework="numpy") as file:
        shape = ",".join(map(str, file.get_slice("input").get_shape()))

    def bench(reps):
        return json.loads(call("bench", *block, "--shape", shape, "--reps", str(reps)))

    call("run", *block, "--input", job.input, "--output", job.output)
    reps = max(LEAST_RUNS, round(job.seconds * 1e3 / bench(LEAST_RUNS)["best_ms"]))
    report = bench(reps)
    return {"version": call("--version").split()[-1], "form": f"folded, {report['isa']}, GEMM of {report['gemm']}",
            "best_ms": report["best_ms"], "median_ms": report["median_ms"], "runs": reps,
            "roofline_fraction": report["roofline_fraction"]}


if __name__ == "__main__":
    serve(measure, options=["tool", "gemm", "isa"])
