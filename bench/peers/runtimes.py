"""The runtimes that are compared, and what each is called."""
from dataclasses import dataclass

# From the most exact to the least.
PRECISIONS = ["f32", "bf16", "int8"]
OWN = "edgeattn"


@dataclass(frozen=True)
class Runtime:
    """A worker and the options that choose it, the name that people know, and the precisions that it runs at."""
    worker: str
    options: tuple
    label: str
    precisions: tuple


RUNTIMES = {
    OWN: Runtime("worker_edgeattn.py", (), "edgeattn", tuple(PRECISIONS)),
    "torch": Runtime("worker_torch.py", ("--mode", "eager"), "PyTorch", ("f32", "bf16")),
    "torch-compiled": Runtime("worker_torch.py", ("--mode", "compiled"), "PyTorch compiled", ("f32", "bf16")),
    "onnxruntime": Runtime("worker_onnxruntime.py", (), "ONNX Runtime", ("f32",)),
    "openvino": Runtime("worker_openvino.py", (), "OpenVINO", ("f32", "bf16")),
}
PEERS = [name for name in RUNTIMES if name != OWN]


@dataclass(frozen=True)
class Candidate:
    """A runtime at one precision: what has a column of its own. `key` names it in results.json."""
    runtime: str
    precision: str

    @property
    def key(self):
        return self.runtime if self.precision == "f32" else f"{self.runtime}-{self.precision}"

    @property
    def label(self):
        return RUNTIMES[self.runtime].label + ("" if self.precision == "f32" else f" {self.precision}")

    def as_exact_as(self, other):
        return PRECISIONS.index(self.precision) <= PRECISIONS.index(other.precision)


# All there are, by key.
CANDIDATES = {candidate.key: candidate for name, runtime in RUNTIMES.items()
              for candidate in (Candidate(name, precision) for precision in runtime.precisions)}


def choose(precisions, only):
    """edgeattn at each precision, then the peers: in float32, and in bfloat16 if any precision is reduced."""
    reduced = precisions != ["f32"]
    return {key: candidate for key, candidate in CANDIDATES.items()
            if (candidate.precision in precisions if candidate.runtime == OWN
                else (not only or candidate.runtime in only) and (reduced or candidate.precision == "f32"))}


def base_of(precisions):
    """The key of what all ratios of a comparison are to: edgeattn at the least exact of its precisions."""
    return Candidate(OWN, max(precisions, key=PRECISIONS.index)).key
