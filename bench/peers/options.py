"""The command line of a comparison."""
import argparse
import math
import re

from common import GROUPS
from machine import processors

PRECISIONS = ["f32", "bf16", "int8"]
SHAPES = ["1,512,8,8", "1,256,16,16", "1,512,16,16", "1,128,32,32", "1,256,32,32", "1,512,32,32", "1,512,64,64"]


def shape(text):
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*){3}", text):
        raise argparse.ArgumentTypeError(f"expected B,C,H,W, each at least 1, got '{text}'")
    sizes = tuple(map(int, text.split(",")))
    if sizes[1] % GROUPS:
        raise argparse.ArgumentTypeError(f"expected channels that make {GROUPS} groups, got '{text}'")
    return sizes


def number(kind, least):
    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value < math.inf:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {what} of at least {least}, got '{text}'")
        return value

    return parse


def parse(peers):
    """The options; `peers` are the runtimes that edgeattn can be compared with."""
    parser = argparse.ArgumentParser(
        prog="bench/peers/run.sh", description="Times edgeattn beside PyTorch, ONNX Runtime and OpenVINO on one block.")
    parser.add_argument("--shapes", nargs="+", type=shape, metavar="B,C,H,W", default=[shape(text) for text in SHAPES],
                        help=f"default: {' '.join(SHAPES)}")
    parser.add_argument("--threads", nargs="+", type=number(int, 0), metavar="N", default=[1, 0],
                        help="0 for all processors; default: 1 0")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=["f32"],
                        help="of edgeattn; ratios are of the least precise; with any but f32, peers run in bf16 too; default f32")
    parser.add_argument("--rounds", type=number(int, 1), metavar="N", default=5,
                        help="processes per runtime, interleaved; the best counts; default 5")
    parser.add_argument("--seconds", type=number(float, 0.001), metavar="S", default=1.0,
                        help="time measured in each process; default 1")
    parser.add_argument("--only", action="append", choices=peers,
                        help="compare with this runtime only; may be given several times")
    options = parser.parse_args()
    options.precision = [name for name in PRECISIONS if name in options.precision]
    options.threads = list(dict.fromkeys(count or processors() for count in options.threads))
    return options
