#!/usr/bin/env python3
"""Draws the digits 0 to 9 with a diffusion UNet in PyTorch, twice with the same noise: as it is, and with edgeattn running
its five attention blocks. Prints times, memory and the largest difference, and writes what the second drew as a PNG.
"""
import argparse
import math
import os
import pathlib
import sys
import time

import torch
from PIL import Image
from safetensors.torch import load_file
from tqdm import tqdm

import edgeattn
from attention import replace_attention, shapes_seen
from unet import STEPS, UNet, sample

DATA = pathlib.Path(__file__).parent / "data"
MOST_DIFFERENCE = 1e-3
PRECISIONS = {"f32": edgeattn.FLOAT32, "bf16": edgeattn.BFLOAT16, "int8": edgeattn.INT8}
LEAST_PSNR = 35
ENLARGED = 8


def load_unet():
    unet = UNet().eval()
    unet.load_state_dict(load_file(DATA / "unet.safetensors"))
    return unet


def draw(unet, noise, what):
    """The ten images, and the seconds that they took, after a step to warm up."""
    sample(unet, noise, range(1))
    start = time.perf_counter()
    images = sample(unet, noise, tqdm(range(STEPS), what, unit="step"))
    return images, time.perf_counter() - start


def psnr_of(images, expected):
    """In dB, of images from -1 to 1."""
    square = (images - expected).double().square().mean().item()
    return math.inf if square == 0 else 10 * math.log10(4 / square)


def write_sheet(images, path):
    """Writes [10, 1, 16, 16] side by side, -1 black and 1 white."""
    gray = ((images.clamp(-1, 1) + 1) * 127.5).round().byte()
    sheet = Image.fromarray(torch.cat(list(gray[:, 0]), dim=1).numpy())
    sheet.resize((sheet.width * ENLARGED, sheet.height * ENLARGED), Image.Resampling.NEAREST).save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True, metavar="FILE", help="libedgeattn.so")
    parser.add_argument("--output", default="digits.png", metavar="FILE", help="the PNG to write (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), metavar="N", help="of PyTorch (default: all, %(default)s)")
    parser.add_argument("--pool", type=int, default=1, metavar="N",
                        help="threads of edgeattn's own pool (default: %(default)s, the calling thread without a pool)")
    parser.add_argument("--precision", choices=PRECISIONS, default="f32", help="of edgeattn's blocks (default: %(default)s)")
    arguments = parser.parse_args()
    if min(arguments.threads, arguments.pool) < 1:
        parser.error("--threads and --pool: expected at least 1")
    torch.set_num_threads(arguments.threads)

    library = edgeattn.Library(arguments.library)
    noise = load_file(DATA / "noise.safetensors")["noise"]
    pure = load_unet()
    expected, pure_seconds = draw(pure, noise, "PyTorch ")

    host = load_unet()
    total = replace_attention(host, shapes_seen(host, noise[0], 0, torch.arange(10)), library, arguments.pool,
                              PRECISIONS[arguments.precision])
    images, host_seconds = draw(host, noise, "edgeattn")
    write_sheet(images, arguments.output)

    difference, psnr = (images - expected).abs().max().item(), psnr_of(images, expected)
    exact = arguments.precision == "f32"
    committed = (expected - load_file(DATA / "images.safetensors")["images"]).abs().max().item()
    print(f"threads     {arguments.threads} of PyTorch {torch.__version__}, {arguments.pool} of edgeattn {library.version}, "
          f"its attention in {arguments.precision}")
    print(f"time        {pure_seconds:.2f} s in PyTorch alone, {host_seconds:.2f} s with attention by edgeattn; {STEPS} steps")
    print(f"memory      {total.prepared_bytes} bytes prepared, {total.persistent_bytes} persistent, "
          f"{total.scratch_bytes} scratch")
    print(f"difference  {difference:.3g} at most between the two, PSNR {psnr:.1f} dB; " +
          (f"{MOST_DIFFERENCE:g} allowed" if exact else f"at least {LEAST_PSNR} dB required"))
    print(f"reference   {committed:.3g} at most between PyTorch here and {DATA.name}/images.safetensors")
    print(f"output      {arguments.output}")
    # Also where it is no number.
    return 0 if (difference <= MOST_DIFFERENCE if exact else psnr >= LEAST_PSNR) else 1


if __name__ == "__main__":
    with torch.inference_mode():
        try:
            sys.exit(main())
        except (edgeattn.Error, OSError) as error:
            sys.exit(f"sample.py: {error}")
