"""The shapes [B, C, H, W] that are compared: how they, and numbers of threads, are written, named and ordered."""
import re

GROUPS = 32
SHAPES = ["1,512,8,8", "1,256,16,16", "1,512,16,16", "1,128,32,32", "1,256,32,32", "1,512,32,32", "1,512,64,64"]


def parse(text):
    """(B, C, H, W); a ValueError says what was expected."""
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*){3}", text):
        raise ValueError(f"expected B,C,H,W, each at least 1, got '{text}'")
    sizes = tuple(map(int, text.split(",")))
    if sizes[1] % GROUPS:
        raise ValueError(f"expected channels that make {GROUPS} groups, got '{text}'")
    return sizes


def name_of(shape):
    batch, channels, height, width = shape
    return (f"B{batch} " if batch > 1 else "") + f"C{channels} {height}×{width}"


def threads_text(threads):
    return f"{threads} thread{'s' if threads > 1 else ''}"


def operations(shape):
    """What the folded engine computes, which orders shapes from small to large."""
    batch, channels, height, width = shape
    tokens = height * width
    return 4 * batch * tokens * channels * (tokens + channels)
