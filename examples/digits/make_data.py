#!/usr/bin/env python3
"""Writes data/noise.safetensors and data/images.safetensors anew: make_data.py

`noise` [200, 10, 1, 16, 16] has seed 1. `images` [10, 1, 16, 16] is what pure PyTorch draws out of it, on one thread:
what examples/sampler is compared with.
"""
import pathlib

import torch
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from unet import STEPS, UNet, sample

DATA = pathlib.Path(__file__).parent / "data"
SEED = 1


@torch.inference_mode()
def main():
    torch.set_num_threads(1)
    noise = torch.randn(STEPS, 10, 1, 16, 16, generator=torch.Generator().manual_seed(SEED))
    unet = UNet().eval()
    unet.load_state_dict(load_file(DATA / "unet.safetensors"))
    images = sample(unet, noise, tqdm(range(STEPS), "drawing"))
    save_file({"noise": noise}, DATA / "noise.safetensors")
    save_file({"images": images.contiguous()}, DATA / "images.safetensors")


if __name__ == "__main__":
    main()
