"""The command line of a comparison. As a program it says what is wrong with one, or the help, before anything is installed."""
import argparse
import math
import re

import shapes
from machine import processors
from runtimes import PEERS, PRECISIONS


class Parser(argparse.ArgumentParser):
    """Ends with 2 and one line where the command line is wrong."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def shape(text):
    try:
        return shapes.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def number(kind, least):
    def parse_number(text):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value < math.inf:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {what} of at least {least}, got '{text}'")
        return value

    return parse_number


def class_name(text):
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text):
        raise argparse.ArgumentTypeError(f"expected a class of processors such as zen4 or cortex-a76, got '{text}'")
    return text


def parse(arguments=None):
    parser = Parser(prog="bench/peers/run.sh", allow_abbrev=False,
                    description="Times edgeattn beside PyTorch, ONNX Runtime and OpenVINO on one block.")
    parser.add_argument("--shapes", nargs="+", type=shape, metavar="B,C,H,W", default=[shape(text) for text in shapes.SHAPES],
                        help=f"default: {' '.join(shapes.SHAPES)}")
    parser.add_argument("--threads", nargs="+", type=number(int, 0), metavar="N", default=[1, 0],
                        help="0 for all processors; default: 1 0")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=["f32"],
                        help="of edgeattn; ratios are of the least precise; with any but f32, peers run in bf16 too; default f32")
    # Their words are the tool's, which judges them.
    parser.add_argument("--gemm", default="auto", metavar="GEMM", help="of edgeattn: auto, xnnpack or builtin; default auto")
    parser.add_argument("--isa", default="auto", metavar="ISA",
                        help="instruction set of edgeattn, as `edgeattn bench --help` names them; default auto")
    parser.add_argument("--rounds", type=number(int, 1), metavar="N", default=5,
                        help="processes per runtime, interleaved; the best counts; default 5")
    parser.add_argument("--seconds", type=number(float, 0.001), metavar="S", default=1.0,
                        help="time measured in each process; default 1")
    parser.add_argument("--only", action="append", choices=PEERS,
                        help="compare with this runtime only; may be given several times")
    parser.add_argument("--figures", type=class_name, metavar="CLASS",
                        help="keep the figures as those of this class of processors, such as zen4: in docs/figures/CLASS.json, "
                             "from which the charts of docs/ are drawn anew")
    options = parser.parse_args(arguments)
    if options.figures and options.only:
        parser.error("--figures shows every runtime, so --only cannot be given with it")
    options.precision = [name for name in PRECISIONS if name in options.precision]
    options.threads = list(dict.fromkeys(count or processors() for count in options.threads))
    options.shapes = list(dict.fromkeys(options.shapes))
    return options


if __name__ == "__main__":
    parse()
