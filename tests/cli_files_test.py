#!/usr/bin/env python3
"""Tests of the files that the tool reads and writes: cli_files_test.py EDGEATTN [png|no-png]

Nothing is half-written, nothing is lost, and what is wrong is said in one line.
"""
import array
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading

sys.dont_write_bytecode = True  # the source tree stays as it is
from cli_test import MAP, PNG, SMALL, TOOL, call, good, run_checks
from crafted import ddpm_block, decoded, encoded

OPTIONS = ("--groups", "2", "--heads", "1")
INPUTS = ("--weights", "w", "--input", "x", *OPTIONS)


def write(**files):
    for name, data in files.items():
        pathlib.Path(name).write_bytes(data)


def read(name):
    return pathlib.Path(name).read_bytes()


def expected_output():
    """Bytes that a run writes to a file of its own."""
    write(w=SMALL, x=MAP)
    good("run", *INPUTS, "--output", "expected")
    return read("expected")


def fails(arguments, *parts, **options):
    """A call that must fail with one line and without a word on standard output."""
    result = call(*arguments, **options)
    assert result.returncode == 1, (arguments, result)
    # For coverage, gcov says of each file of counts that it may not write it.
    counted = "GCOV_ERROR_FILE" in os.environ
    said = "".join(line for line in result.stderr.splitlines(True) if not (counted and line.startswith("profiling:")))
    assert not result.stdout and said.count("\n") == 1 and said.startswith("edgeattn: "), (arguments, result)
    for part in parts:
        assert part in said, f"no {part!r} in: {said}"


# Standard output as an output.
def test_every_name_of_standard_output_gets_the_output_alone():
    expected = expected_output()
    os.symlink("/dev/stdout", "link")
    os.symlink("link", "link-to-link")
    for name in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link", "link-to-link"):
        for extra in ((), ("--json",)):
            result = subprocess.run([*TOOL, "run", *INPUTS, "-o", name, *extra], capture_output=True, check=True)
            assert result.stdout == expected, (name, len(result.stdout))
            report = result.stderr.decode()
            named = "/dev/stdout" if name == "-" else name
            assert json.loads(report)["shape"] == [1, 4, 2, 2] if extra else f"\noutput  {named}\n" in report, report
    assert sorted(os.listdir(".")) == ["expected", "link", "link-to-link", "w", "x"]


def test_every_output_may_go_to_standard_output():
    write(w=SMALL, x=MAP)
    for arguments, option in ((("fold", "--weights", "w", *OPTIONS), "-o"), (("plan", "--shape", "1,64,8,8"), "--svg"),
                              (("run", *INPUTS, "--attention-map", "0,1"), "-o")):
        good(*arguments, option, "file")
        result = subprocess.run([*TOOL, *arguments, option, "-"], capture_output=True, check=True)
        assert result.stdout == read("file") and result.stderr, (arguments, result)
    result = subprocess.run([*TOOL, "bench", "--shape", "1,64,4,4", "--reps", "1", "--svg", "-"], capture_output=True, check=True)
    assert result.stdout.startswith(b"<svg") and result.stdout.rstrip().endswith(b"</svg>") and b"FMA peak" in result.stderr, result


def test_standard_output_may_be_a_file_or_a_socket():
    expected = expected_output()
    for name, mode, before in (("new", "wb", b""), ("log", "ab", b"first line\n")):
        write(**{name: before})
        with open(name, mode) as file:
            result = subprocess.run([*TOOL, "run", *INPUTS, "-o", "/dev/stdout"], stdout=file, stderr=subprocess.PIPE, check=True)
        assert read(name) == before + expected and b"output  /dev/stdout" in result.stderr, (name, result)
    with open("y", "wb") as file:  # by its own name
        result = subprocess.run([*TOOL, "run", *INPUTS, "-o", "y"], stdout=file, stderr=subprocess.PIPE, check=True)
    assert read("y") == expected and b"output  y\n" in result.stderr, result
    with open("map", "wb") as file:  # whose name says what it holds
        os.symlink("map", "named.png")
        subprocess.run([*TOOL, "run", *INPUTS, "--attention-map", "0,0", "-o", "named.png" if PNG else "map"], stdout=file,
                       stderr=subprocess.PIPE, check=True)
    assert read("map").startswith(b"\x89PNG") if PNG else decoded(read("map"))["attention"], read("map")[:9]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        subprocess.run([*TOOL, "run", *INPUTS, "-o", "-"], stdout=theirs, stderr=subprocess.PIPE, check=True)
        theirs.close()
        assert b"".join(iter(lambda: ours.recv(65536), b"")) == expected


def test_messages_are_not_mixed_into_an_output():
    write(w=SMALL, x=MAP)
    for name in ("-", "/dev/stdout", "/dev/fd/1"):
        result = subprocess.run([*TOOL, "run", *INPUTS, "-o", name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert result.returncode == 1 and b"standard error goes" in result.stdout and result.stdout.count(b"\n") == 1, result
    with open("log", "wb") as log:
        result = subprocess.run([*TOOL, "run", *INPUTS, "-o", "log"], stdout=subprocess.PIPE, stderr=log, check=False)
    assert result.returncode == 1 and b"log goes where standard error goes" in read("log"), (result, read("log"))
    fails(("run", *INPUTS, "-o", "/dev/stderr"), "/dev/stderr goes where standard error goes")


# Inputs from pipes.
def test_weights_and_inputs_come_through_pipes():
    expected = expected_output()
    for name in ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"):
        for weights, x, data in ((name, "x", SMALL), ("w", name, MAP)):
            result = subprocess.run([*TOOL, "run", "--weights", weights, "--input", x, *OPTIONS, "-o", "y"], input=data, capture_output=True,
                                    check=True)
            assert read("y") == expected and not result.stderr, (name, result)
    result = subprocess.run([*TOOL, "inspect", "-"], input=SMALL, capture_output=True, check=True)
    assert b"attention blocks: 1" in result.stdout, result
    result = subprocess.run([*TOOL, "run", *INPUTS, "-o", "y", "--reference", "-", "--json"], input=expected, capture_output=True, check=True)
    assert json.loads(result.stdout)["max_abs_error"] == 0, result
    os.mkfifo("fifo")
    writer = threading.Thread(target=lambda: write(fifo=SMALL))
    writer.start()
    good("run", "--weights", "fifo", "--input", "x", *OPTIONS, "-o", "y")
    writer.join(60)
    assert read("y") == expected
    with open("w", "rb") as file:
        result = subprocess.run([*TOOL, "inspect", "-"], stdin=file, capture_output=True, check=True)
    assert b"attention blocks: 1" in result.stdout, result


def test_pipes_that_cannot_be_read():
    write(w=SMALL, x=MAP)
    os.mkfifo("fifo")
    os.symlink("fifo", "link")
    for first, second in (("-", "-"), ("-", "/dev/stdin"), ("/dev/fd/0", "/proc/self/fd/0"), ("fifo", "link"), ("./fifo", "fifo")):
        fails(("run", "--weights", first, "--input", second, "-o", "y"), "--weights and --input", "is one pipe, which is read only once",
              stdin=subprocess.PIPE)
    fails(("run", "--weights", "w", "--input", "-", "--reference", "-", "-o", "y"), "--input and --reference", stdin=subprocess.PIPE)
    fails(("inspect", "-"), "/dev/stdin: expected a regular file or a pipe, given a device", stdin=subprocess.DEVNULL)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        fails(("inspect", "-"), "given a socket", stdin=theirs)
    for data, part in ((b"", "given an empty one"), (SMALL[:-1], "it is cut short"), (SMALL + b"\0", "at least 1 more bytes"),
                       (b'{"weight_map": {"a": "w"}}', "not from a pipe"), (b"\x1f\x8b\x08\0" * 5000, "gzip")):
        result = subprocess.run([*TOOL, "inspect", "-"], input=data, capture_output=True, check=False)
        assert result.returncode == 1 and part in result.stderr.decode() and result.stderr.count(b"\n") == 1, (data[:10], result)
    assert sorted(os.listdir(".")) == ["fifo", "link", "w", "x"]


# Outputs over inputs.
def test_an_output_over_an_input_is_refused_before_anything_runs():
    r = expected_output()
    os.remove("expected")
    write(r=r)
    os.link("w", "hard")
    os.symlink("w", "soft")
    os.symlink("soft", "softer")
    os.mkdir("below")
    os.symlink(os.path.abspath("x"), "below/x")
    before = {name: read(name) for name in ("w", "x", "r")}
    names = sorted(os.listdir("."))
    shape = ("--shape", "1,4,2,2", *OPTIONS)
    for arguments, outputs in (
            (("run", *INPUTS, "-o"), ("w", "./w", "hard", "soft", "softer", os.path.abspath("w"), "x", "below/x")),
            (("run", "--weights", "softer", "--input", "x", *OPTIONS, "-o"), ("w", "hard", "soft")),
            (("run", *INPUTS, "--reference", "r", "-o"), ("r", "below/../r")),
            (("run", *INPUTS, "--attention-map", "0,0", "-o"), ("w", "hard", "x", "below/x")),
            (("plan", "--weights", "w", *shape, "--svg"), ("w", "hard", "soft")),
            (("bench", "--weights", "w", *shape, "--svg"), ("w", "hard", "soft")),
            (("fold", "--weights", "hard", *OPTIONS, "-o"), ("w", "hard", "softer"))):
        for output in outputs:
            fails((*arguments, output), f"{arguments[-1].replace('-o', '--output')}: ", "would overwrite ", "reads")
            assert {name: read(name) for name in before} == before and sorted(os.listdir(".")) == names, (arguments, output)
    assert os.stat("w").st_nlink == 2
    os.mkfifo("fifo")
    fails(("run", "--weights", "fifo", "--input", "x", "-o", "fifo"), "would overwrite fifo, which --weights reads")


def write_shards():
    """The small block in two shards, and the path of its index."""
    block = ddpm_block(4)
    names = list(block)
    write(**{"a.st": encoded({name: block[name] for name in names[::2]}), "b.st": encoded({name: block[name] for name in names[1::2]})})
    shards = {name: "ab"[i % 2] + ".st" for i, name in enumerate(names)}
    pathlib.Path("m.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}), encoding="ascii")
    return "m.index.json"


def test_a_sharded_model():
    expected = expected_output()
    index = write_shards()
    good("run", "--weights", index, "--input", "x", *OPTIONS, "-o", "y")
    assert read("y") == expected
    assert "attention blocks: 1" in good("inspect", index)
    os.symlink("b.st", "soft")
    for output, part in (("a.st", "would overwrite a.st, which --weights reads"), ("soft", "soft would overwrite b.st"), (index, "overwrite m.index")):
        fails(("run", "--weights", index, "--input", "x", *OPTIONS, "-o", output), part)
        fails(("fold", "--weights", index, *OPTIONS, "-o", output), part)
        fails(("plan", "--weights", index, "--shape", "1,4,2,2", *OPTIONS, "--svg", output), part)
    os.remove("b.st")
    fails(("inspect", index), "m.index.json: tensor '", "its shard 'b.st' is missing")


# Outputs that no file can be renamed over.
def test_a_file_in_a_folder_that_is_read_only_is_written_in_place():
    expected = expected_output()
    os.chmod(".", 0o755)  # somebody else may read here
    os.mkdir("closed")
    somebody = {"user": 65534, "group": 65534} if os.geteuid() == 0 else {}
    for old in (b"", b"old", bytes(100000)):
        write(**{"closed/y": old})
        os.chmod("closed/y", 0o666)
        os.link("closed/y", "twin")
        os.chmod("closed", 0o555)
        try:
            result = call("run", *INPUTS, "-o", "closed/y", **somebody)
        except PermissionError:
            print("  the tool is where only root may start it: not tested")
            return
        finally:
            os.chmod("closed", 0o755)
        assert result.returncode == 0, result
        assert read("closed/y") == expected and read("twin") == expected and os.listdir("closed") == ["y"], len(read("twin"))
        os.remove("twin")
    limit = len(expected) - 1
    write(**{"closed/y": b"old"})
    os.chmod("closed", 0o555)
    try:
        fails(("run", *INPUTS, "-o", "closed/y"), "closed/y: cannot write", "File too large", **somebody,
              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    finally:
        os.chmod("closed", 0o755)
    assert read("closed/y") == b"old" and os.listdir("closed") == ["y"]


def in_a_namespace(script):
    """What a shell prints that may mount, or None where nobody may."""
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode:
        print("  no file systems can be mounted here: not tested")
        return None
    return subprocess.run([*unshare, "sh", "-ec", script], capture_output=True, text=True, timeout=300, check=False)


def command(*arguments):
    return " ".join([*TOOL, *arguments])


def test_a_file_that_is_mounted_is_written_in_place():
    expected = expected_output()
    write(inside=b"old", outside=b"old")
    result = in_a_namespace(f"mount --bind outside inside; {command('run', *INPUTS, '-o', 'inside')}; ls -A")
    if result is None:
        return
    assert result.returncode == 0 and ".tmp" not in result.stdout and not result.stderr, result
    assert read("outside") == expected and read("inside") == b"old"
    write(svg=b"a longer text than any picture of a plan has " * 5000)
    result = in_a_namespace(f"mount --bind svg svg; {command('plan', '--shape', '1,64,8,8', '--svg', 'svg')}")
    good("plan", "--shape", "1,64,8,8", "--svg", "plain")
    assert result.returncode == 0 and read("svg") == read("plain"), result
    write(folded=b"")
    result = in_a_namespace(f"mount --bind folded folded; {command('fold', '--weights', 'w', *OPTIONS, '-o', 'folded')}")
    good("fold", "--weights", "w", *OPTIONS, "-o", "plain")
    assert result.returncode == 0 and read("folded") == read("plain"), result


def test_a_full_disk_leaves_the_old_file():
    write(w=SMALL, x=encoded({"x": ([1, 4, 100, 100], bytes(160000))}))
    # Whether a new file does not fit, or, because it cannot be renamed, the old one cannot grow.
    disk = "mkdir d; mount -t tmpfs -o size=64k none d; echo old > d/y; chmod 666 d/y"
    for how in ("", "mount --bind d/y d/y"):
        result = in_a_namespace(f"{disk}; {how}\n{command('run', *INPUTS, '-o', 'd/y')} || echo failed; cat d/y; ls -A d; umount -R d; rmdir d")
        if result is None:
            return
        assert result.stdout == "failed\nold\ny\n" and "No space left" in result.stderr and result.stderr.count("\n") == 1, result
    if os.geteuid() != 0:
        return
    somebody = f"setpriv --reuid 65534 --regid 65534 --clear-groups {command('run', *INPUTS, '-o', 'd/y')}"
    os.chmod(".", 0o755)
    result = in_a_namespace(f"{disk}; chmod 555 d\n{somebody} || echo failed; cat d/y; ls -A d; umount -R d; rmdir d")
    assert result.stdout == "failed\nold\ny\n", result
    assert "No space left" in result.stderr or "ermission denied" in result.stderr, result


def test_a_limit_on_the_size_of_files_leaves_no_file():
    write(w=encoded(ddpm_block(32)), x=encoded({"x": ([1, 32, 8, 8], bytes(32 * 64 * 4))}), old=b"old")
    arguments = (("run", "--weights", "w", "--input", "x", "--heads", "1", "--groups", "32", "-o"), ("fold", "--weights", "w", "-o"), ("plan", "--shape", "1,64,8,8", "--svg"))
    for disposition in (signal.SIG_DFL, signal.SIG_IGN):
        for limit in (0, 100, 4096):
            def limited(limit=limit, disposition=disposition):
                signal.signal(signal.SIGXFSZ, disposition)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

            for each in arguments:
                for output in ("new", "old"):
                    fails((*each, output), f"{output}: cannot write", "File too large", preexec_fn=limited)
                    assert sorted(os.listdir(".")) == ["old", "w", "x"] and read("old") == b"old", os.listdir(".")
    with open("y", "wb") as file:
        result = subprocess.run([*TOOL, *arguments[0], "-"], stdout=file, stderr=subprocess.PIPE, check=False,
                                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)))
    assert result.returncode == 1 and b"File too large" in result.stderr and result.stderr.count(b"\n") == 1, result


# What a run says of its output.
def test_values_that_are_not_finite_are_a_warning():
    nan, inf = float("nan"), float("inf")
    write(w=encoded(ddpm_block(4)))

    def warning(values, shape, *arguments):
        write(x=encoded({"x": (shape, values)}))
        result = call("run", *INPUTS, "-o", "y", *arguments)
        assert result.returncode == 0 and "\noutput  y\n" in result.stdout, result
        return result.stderr

    for value in (nan, inf, -inf):
        assert warning([1.0] * 20 + [value] + [0.5] * 11, [2, 4, 2, 2]) == (
            "edgeattn: warning: y: 4 of 8 pixels, in 1 of 2 images, are not finite; the input is not in 1\n")
    assert warning([float(i % 7) for i in range(32)], [2, 4, 2, 2]) == ""
    # A value that 16 bits do not hold: only its pixel, in either layout. Of the channels of a pixel, one is enough.
    for layout, values in (("nchw", [0.0] * 9 + [70000.0] + [0.0] * 6), ("nhwc", [0.0] * 6 + [70000.0] + [0.0] * 9)):
        shape = [1, 4, 2, 2] if layout == "nchw" else [1, 2, 2, 4]
        said = "edgeattn: warning: y: 1 of 4 pixels, in 1 of 1 image, are not finite\n"
        assert warning(values, shape, "--layout", layout, "--output-dtype", "f16") == said
        for dtype in ("f32", "bf16"):
            assert warning(values, shape, "--layout", layout, "--output-dtype", dtype) == ""
    write(w=encoded(ddpm_block(4, to_out_bias=([4], [3e38] * 4))))
    assert "4 of 4 pixels" in warning([3e38] * 16, [1, 4, 2, 2])


def test_times_are_written_for_people():
    write(w=SMALL, x=MAP)
    time = r"(\d+(\.\d+)? (µs|ms|s)|\d+ min \d+ s|\d+ h \d+ min)"
    text = good("run", *INPUTS, "-o", "y")
    assert re.search(rf"^time    {time} prepare and bind, {time} run$", text, re.MULTILINE), text
    text = good("bench", "--shape", "1,64,8,8", "--reps", "2")
    assert re.search(rf"^best {time}, median {time} of 2 runs$", text, re.MULTILINE), text
    assert len(re.findall(rf"^\w+ +{time} +\d+\.\d$", text, re.MULTILINE)) == 9, text
    text = good("check", *INPUTS, "--isa", "scalar")
    assert len(re.findall(rf"^(?:f32|bf16|int8) .* {time} +\d+$", text, re.MULTILINE)) == 3, text


# Weights as they come.
def test_inspect_lists_what_a_run_refuses_with_the_reason():
    nan = float("nan")
    f8 = {name: (shape, bytes(len(values)), "F8_E4M3") for name, (shape, values) in ddpm_block(4, "f8.").items()}
    scaled = {name.replace("f8.", "scaled."): tensor for name, tensor in f8.items()}
    scaled["scaled.to_qkv.weight_scale"] = ([], [2.0])
    write(x=MAP, w=encoded({**ddpm_block(4, "good."), **f8, **scaled,
                            **ddpm_block(4, "integers.", to_qkv_weight=([12, 4], bytes(48), "I8")),
                            **ddpm_block(4, "microscaled.", to_out_weight=([4, 4], bytes(8), "F4")),
                            **ddpm_block(4, "complex.", to_out_bias=([4], bytes(32), "C64")),
                            **ddpm_block(4, "wide.", to_out_weight=([4, 5], [0.0] * 20)),
                            **ddpm_block(4, "spoilt.", norm_bias=([4], [0, nan, 0, 0])),
                            **ddpm_block(4, "lacking.", to_out_weight=None)}))
    report = json.loads(good("inspect", "w", "--json"))
    assert [block["prefix"] for block in report["blocks"]] == ["f8.", "good."], report
    refused = {block["prefix"]: block["reason"] for block in report["refused"]}
    expected = {"integers.": "given I8", "microscaled.": "given F4", "complex.": "given C64", "wide.": "[4, 5]", "spoilt.": "norm.bias",
                "lacking.": "to_out.weight", "scaled.": "scale"}
    assert sorted(refused) == sorted(expected), refused
    text = good("inspect", "w")
    assert "attention blocks: 2\n" in text and "refused: 7\n" in text, text
    for prefix, part in expected.items():
        assert part in refused[prefix] and f"  prefix '{prefix}', ddpm: {refused[prefix]}\n" in text, (prefix, text)
        fails(("run", "--weights", "w", "--prefix", prefix, "--input", "x", *OPTIONS, "-o", "y"), refused[prefix])
    for block in report["blocks"]:
        good("run", "--weights", "w", "--prefix", block["prefix"], "--input", "x", *OPTIONS, "-o", "y")


def f8_value(code, bits):
    """Of F8_E4M3 (3 bits of fraction) and F8_E5M2 (2)."""
    bias, exponent, fraction = (7 if bits == 3 else 15), (code & 127) >> bits, code & ((1 << bits) - 1)
    value = (fraction / (1 << bits) + (exponent > 0)) * 2.0 ** (max(exponent, 1) - bias)
    return -value if code & 128 else value


def test_weights_of_8_bits():
    write(x=MAP)
    for dtype, bits in (("F8_E4M3", 3), ("F8_E5M2", 2)):
        codes = {name: bytes((37 * i + 11 * len(name)) % 56 + 128 * (i % 3 == 0) for i in range(len(values)))
                 for name, (_, values) in ddpm_block(4).items()}
        shapes = {name: shape for name, (shape, _) in ddpm_block(4).items()}
        write(narrow=encoded({name: (shapes[name], data, dtype) for name, data in codes.items()}),
              wide=encoded({name: (shapes[name], [f8_value(code, bits) for code in data]) for name, data in codes.items()}))
        for name in ("narrow", "wide"):
            good("run", "--weights", name, "--input", "x", *OPTIONS, "-o", f"y-{name}")
        assert read("y-narrow") == read("y-wide")
        assert len(set(decoded(read("y-narrow"))["output"][1])) > 8
        good("run", "--weights", "wide", "--input", "x", *OPTIONS, "-o", "y")
        # A map of 8 bits is an input like any other.
        write(map8=encoded({"x": ([1, 4, 2, 2], bytes(range(40, 56)), dtype)}),
              map32=encoded({"x": ([1, 4, 2, 2], array.array("f", [f8_value(code, bits) for code in range(40, 56)]))}))
        for name in ("map8", "map32"):
            good("run", "--weights", "wide", "--input", name, *OPTIONS, "-o", f"y-{name}")
        assert read("y-map8") == read("y-map32")


def test_blocks_beside_tensors_of_any_dtype():
    others = {f"other.{dtype}": ([8], bytes(bits), dtype) for dtype, bits in
              {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "C64": 64, "BOOL": 8, "U64": 64}.items()}
    expected = expected_output()
    write(w=encoded({**others, **ddpm_block(4, "block.")}))
    good("run", *INPUTS, "-o", "y")
    assert read("y") == expected
    for name in others:
        fails(("run", "--weights", "w", "--input", "w", "--tensor", name, *OPTIONS, "-o", "z"), f"tensor '{name}'", f"given {name[6:]}")


def main():
    return run_checks([(name, check) for name, check in globals().items() if name.startswith("test_")])


if __name__ == "__main__":
    sys.exit(main())
