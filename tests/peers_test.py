#!/usr/bin/env python3
"""The comparison of bench/peers without the runtimes that it compares: its command line, what it says while it measures, what
an interrupt leaves, and its verdict. peers_test.py EDGEATTN
"""
import contextlib
import fcntl
import io
import os
import pathlib
import platform
import pty
import struct
import subprocess
import sys
import termios

sys.dont_write_bytecode = True  # the source tree stays as it is
ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = ROOT / "bench" / "peers"
sys.path.insert(0, str(PEERS))
import options
import rounds
import table
import tool
from progress import Progress
from runtimes import CANDIDATES, base_of, choose
from verdict import verdicts

# A wrong command line, and words that its one line must have.
WRONG = (
    (["--threads", "-1"], ["--threads", "'-1'"]),
    (["--threads", "two"], ["--threads", "'two'"]),
    (["--shapes", "1,512,8"], ["--shapes", "B,C,H,W", "'1,512,8'"]),
    (["--shapes", "1,40,8,8"], ["--shapes", "32 groups", "'1,40,8,8'"]),
    (["--rounds", "0"], ["--rounds", "at least 1"]),
    (["--seconds", "nan"], ["--seconds", "'nan'"]),
    (["--seconds", "inf"], ["--seconds", "'inf'"]),
    (["--precision", "f64"], ["--precision", "'f64'"]),
    (["--only", "tensorflow"], ["--only", "'tensorflow'"]),
    (["--gemm"], ["--gemm", "expected one argument"]),
    (["--figures", "../zen4"], ["--figures", "'../zen4'"]),
    (["--figures", "zen4", "--only", "torch"], ["--figures", "--only"]),
    (["--gem", "builtin"], ["--gem"]),
    (["zen4"], ["zen4"]),
)


def run_script(*arguments):
    return subprocess.run(["bash", str(PEERS / "run.sh"), *arguments], capture_output=True, text=True, timeout=60, check=False)


def parse_wrong(arguments):
    """The exit code, and what stands on standard error."""
    text = io.StringIO()
    with contextlib.redirect_stderr(text):
        try:
            options.parse(arguments)
        except SystemExit as end:
            return end.code, text.getvalue()
    return 0, text.getvalue()


def check_wrong_command_lines():
    for arguments, words in WRONG:
        code, said = parse_wrong(arguments)
        assert code == 2, f"{arguments}: exit {code}"
        assert said.startswith("bench/peers/run.sh: ") and said.count("\n") == 1, f"{arguments}: {said}"
        assert all(word in said for word in words), f"{arguments}: {said}"


def check_script():
    """It ends with a wrong command line, or the help, before it installs anything."""
    arguments, words = WRONG[0]
    result = run_script(*arguments)
    assert result.returncode == 2 and result.stderr.count("\n") == 1 and not result.stdout, f"{result.stdout}{result.stderr}"
    assert all(word in result.stderr for word in words), result.stderr
    result = run_script("--help")
    assert result.returncode == 0 and not result.stderr, result.stderr
    for word in ("--gemm", "--isa", "--figures"):
        assert word in result.stdout, f"{word} is not in the help"


def check_options():
    asked = options.parse(["--gemm", "builtin", "--isa", "avx2", "--precision", "int8", "f32", "--threads", "2", "2"])
    assert (asked.gemm, asked.isa, asked.precision, asked.threads) == ("builtin", "avx2", ["f32", "int8"], [2]), asked


# Words for edgeattn, its exit code, and what its line must have.
REFUSED = (
    (["--isa", "sse9"], 2, "sse9"),
    (["--gemm", "blas"], 2, "blas"),
    (["--isa", "neon" if platform.machine() in ("x86_64", "i686") else "avx2"], 1, "this processor has no"),
)


def check_refusals():
    edgeattn = [os.path.abspath(sys.argv[1])]
    for arguments in (["--gemm", "builtin"], ["--isa", "scalar", "--precision", "f32", "bf16", "int8"]):
        refused = tool.refusal(edgeattn, options.parse(arguments))
        assert refused is None, f"{arguments}: {refused}"
    for arguments, code, word in REFUSED:
        refused = tool.refusal(edgeattn, options.parse(arguments))
        assert refused and refused[1] == code and word in refused[0], f"{arguments}: {refused}"
    # Every precision is asked for, not the first alone; a note is no error.
    script = 'case "$*" in *bf16*) echo "edgeattn: note: slow" >&2; echo "edgeattn: no bf16" >&2; exit 1; esac'
    lacking = ["sh", "-c", script, "sh"]
    assert tool.refusal(lacking, options.parse(["--precision", "f32"])) is None
    refused = tool.refusal(lacking, options.parse(["--precision", "f32", "bf16"]))
    assert refused == ("edgeattn: no bf16", 1), refused


def case(times, threads=2, **others):
    runtimes = {key: {"best_ms": best_ms} for key, best_ms in times.items()}
    return {"name": "C64 8×8", "threads": threads, "runtimes": {**runtimes, **others}}


FASTEST = case({"edgeattn": 1.0, "torch": 3.0, "openvino": 2.0})
SLOWER = case({"edgeattn": 1.14, "torch": 0.95, "onnxruntime": 0.91})
REDUCED = case({"edgeattn": 3.0, "edgeattn-bf16": 2.0, "edgeattn-int8": 1.0, "torch": 4.0, "torch-bf16": 1.5})
# Cases, edgeattn's precisions, and the lines on them.
VERDICTS = (
    ([FASTEST, FASTEST], ["f32"], ["2 threads: edgeattn is the fastest at 2 of 2 shapes"]),
    ([FASTEST, SLOWER], ["f32"],
     ["2 threads: edgeattn is the fastest at 1 of 2 shapes",
      "2 threads: edgeattn is NOT the fastest at C64 8×8: ONNX Runtime takes 0.91 ms, edgeattn 1.14 ms"]),
    # Nobody's bfloat16 is held against float32; bf16 has to be faster than bf16, and int8 than all.
    ([REDUCED], ["f32", "bf16", "int8"], ["2 threads: edgeattn is the fastest at 1 of 1 shapes",
                                          "2 threads: edgeattn bf16 is the fastest at 0 of 1 shapes",
                                          "2 threads: edgeattn bf16 is NOT the fastest at C64 8×8: PyTorch bf16 takes 1.5 ms, "
                                          "edgeattn bf16 2 ms",
                                          "2 threads: edgeattn int8 is the fastest at 1 of 1 shapes"]),
    ([case({"torch": 2.0}, edgeattn={"failed": "no"})], ["f32"],
     ["2 threads: edgeattn is the fastest at 0 of 1 shapes",
      "2 threads: edgeattn is NOT the fastest at C64 8×8: PyTorch takes 2 ms, edgeattn has no time"]),
    # What gave a wrong output, or none, has not won.
    ([case({"edgeattn": 1.0, "torch": 2.0}, openvino={"best_ms": 0.1, "failed": "differs"}, onnxruntime={"skipped": "no"})],
     ["f32"], ["2 threads: edgeattn is the fastest at 1 of 1 shapes"]),
    ([case({"edgeattn": 1.0}, torch={"failed": "no"})], ["f32"],
     ["2 threads: no other runtime has a time that edgeattn could be compared with"]),
    ([case({"edgeattn": 1.0, "torch": 2.0}, threads=1), FASTEST], ["f32"],
     ["1 thread: edgeattn is the fastest at 1 of 1 shapes", "2 threads: edgeattn is the fastest at 1 of 1 shapes"]),
)


def check_verdicts():
    for cases, precisions, expected in VERDICTS:
        said = verdicts(cases, choose(precisions, []))
        assert said == expected, f"{said}, expected {expected}"


SETTING = rounds.Setting(rounds=2, seconds=0.1, own_options=("--gemm", "builtin"), folder=pathlib.Path("."))
KEYS = ["edgeattn", "torch", "openvino"]
CHOSEN = {key: CANDIDATES[key] for key in KEYS}


def measure(stream, worker):
    """A case with two rounds, one measurement a second; the case as it is left."""
    seconds = iter(range(1000))
    measured = {"name": "C64 8×8", "threads": 2, "runtimes": {}}
    progress = Progress(rounds.plan(SETTING, CHOSEN, 1), 1, stream, lambda: next(seconds))
    try:
        rounds.measure(measured, CHOSEN, SETTING, progress, {}, dict.fromkeys(KEYS, "y"), worker)
        assert not any(progress.left.values()), f"the estimate waits for {progress.left}"
    except KeyboardInterrupt:
        progress.interrupt()
    rounds.add_ratios(measured["runtimes"], base_of(["f32"]))
    return measured


def workers(times):
    """A worker that reports these in turn: a time, words of why there is none, or an interrupt."""
    left = iter(times)

    def worker(_setting, candidate, _files, _threads, form):
        value = next(left)
        if value is KeyboardInterrupt:
            raise KeyboardInterrupt
        if isinstance(value, str):
            return {"failed": value}
        return {"best_ms": value, "form": form or f"the form of {candidate.key}", "version": "1"}

    return worker


def on_terminal(times):
    """The case, and the lines that a terminal of 60 columns shows of it."""
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w", encoding="utf-8") as terminal:
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
        measured = measure(terminal, workers(times))
    text = b""
    with contextlib.suppress(OSError), os.fdopen(reader, "rb", buffering=0) as shown:  # an error is the end of a terminal
        while part := shown.read(1 << 12):
            text += part
    return measured, text.decode().replace("\r\n", "\n").split("\n")


def check_progress_on_terminal():
    # The second round begins with the second runtime.
    measured, lines = on_terminal([4.0, 8.0, 6.0, 7.0, 5.0, 3.0])
    assert len(lines) == 7 and lines[-1] == "", lines
    running, ended = lines[4].split("\r\033[K")
    assert ended.startswith("C64 8×8, 2 threads, round 2 of 2, OpenVINO: 5 ms, best so far 5; "), ended
    assert "0:" in ended and " of about 0:" in ended, ended
    assert len(running) <= 59 and running.startswith("C64 8×8, 2 threads, round 2 of 2, OpenVINO: runn"), running
    assert "torch" in measured["runtimes"] and measured["runtimes"]["torch"]["rounds_ms"] == [8.0, 7.0]
    assert "round 1 of 2, edgeattn: 4 ms, best so far 4; " in lines[0], lines[0]
    assert measured["runtimes"]["openvino"]["ratio"] == 5.0 / 3.0


def check_progress_in_a_log():
    log = io.StringIO()
    measure(log, workers([4.0, 8.0, 6.0, 7.0, 5.0, 3.0]))
    lines = log.getvalue().splitlines()
    assert len(lines) == 1 and "\r" not in log.getvalue(), lines
    assert lines[0].startswith("C64 8×8, 2 threads: measured") and "1 of 1" in lines[0], lines


def check_failed_once():
    """What failed is not tried again, and nothing waits for it."""
    log = io.StringIO()
    measured = measure(log, workers([4.0, "no such library", 6.0, 5.0, 3.0]))
    assert measured["runtimes"]["torch"] == {"failed": "no such library"}, measured
    assert measured["runtimes"]["edgeattn"]["rounds_ms"] == [4.0, 3.0], measured


def check_interrupt():
    """An interrupt leaves what was measured, and its table can be printed; of the line that it cut nothing stays."""
    measured, lines = on_terminal([4.0, 8.0, KeyboardInterrupt])
    assert sorted(measured["runtimes"]) == ["edgeattn", "torch"] and measured["runtimes"]["torch"]["ratio"] == 2.0, measured
    assert lines[-1].endswith("\r\033[K"), lines
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        table.print_table([measured], {key: CANDIDATES[key].label for key in KEYS}, "edgeattn")
    row = next(line for line in text.getvalue().splitlines() if line.startswith("C64 8×8"))
    assert row.split()[2:] == ["4.000", "8.000", "(2.00×)", "–"], row


def main():
    checks = [value for name, value in globals().items() if name.startswith("check_")]
    failed = 0
    for check in checks:
        try:
            check()
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            failed += 1
            print(f"FAILED: {check.__name__}: {error}")
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
