"""The UNet that draws digits, as it was trained, and how a diffusion model draws with it."""
import math

import torch
import torch.nn.functional as F
from torch import nn

STEPS = 200
CHANNELS, EMBEDDING, TIME_WAVES = 64, 128, 32
GROUPS = 32


class AttentionBlock(nn.Module):
    """What edgeattn computes: y = x + to_out(softmax(q kᵀ / √C) v), q, k, v = split(to_qkv(norm(x))); [B, C, H, W]."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.to_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        q, k, v = self.to_qkv(self.norm(x)).flatten(2).chunk(3, dim=1)
        weights = torch.softmax(q.transpose(1, 2) @ k / math.sqrt(x.shape[1]), dim=-1)
        return x + self.to_out((v @ weights.transpose(1, 2)).view(x.shape))


class Residual(nn.Module):
    """Two convolutions; the embedding of time and class scales and shifts what is between them."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.n1, self.c1 = nn.GroupNorm(GROUPS, inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.t = nn.Linear(EMBEDDING, 2 * outputs)
        self.n2, self.c2 = nn.GroupNorm(GROUPS, outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, embedding):
        scale, shift = self.t(F.silu(embedding))[:, :, None, None].chunk(2, 1)
        h = self.c1(F.silu(self.n1(x)))
        return self.c2(F.silu(self.n2(h) * (1 + scale) + shift)) + self.skip(x)


class UNet(nn.Module):
    """16x16 pixels with 64 channels and 8x8 with 128; five attention blocks: a0, a1, am, b1, b0."""

    def __init__(self):
        super().__init__()
        c = CHANNELS
        self.time = nn.Sequential(nn.Linear(2 * TIME_WAVES, EMBEDDING), nn.SiLU(), nn.Linear(EMBEDDING, EMBEDDING))
        self.label = nn.Embedding(10, EMBEDDING)
        self.conv_in = nn.Conv2d(1, c, 3, padding=1)
        self.d0, self.a0, self.down = Residual(c, c), AttentionBlock(c), nn.Conv2d(c, c, 3, stride=2, padding=1)
        self.d1, self.a1 = Residual(c, 2 * c), AttentionBlock(2 * c)
        self.m0, self.am, self.m1 = Residual(2 * c, 2 * c), AttentionBlock(2 * c), Residual(2 * c, 2 * c)
        self.u1, self.b1, self.up = Residual(4 * c, 2 * c), AttentionBlock(2 * c), nn.Conv2d(2 * c, c, 3, padding=1)
        self.u0, self.b0 = Residual(2 * c, c), AttentionBlock(c)
        self.norm_out, self.conv_out = nn.GroupNorm(GROUPS, c), nn.Conv2d(c, 1, 3, padding=1)

    def forward(self, x, time, digits):
        waves = torch.exp(-math.log(1e4) * torch.arange(TIME_WAVES) / TIME_WAVES) * time
        embedding = self.time(torch.cat([waves.sin(), waves.cos()])) + self.label(digits)
        x = self.conv_in(x)
        h0 = self.a0(self.d0(x, embedding))
        h1 = self.a1(self.d1(self.down(h0), embedding))
        x = self.m1(self.am(self.m0(h1, embedding)), embedding)
        x = self.b1(self.u1(torch.cat([x, h1], 1), embedding))
        x = self.up(F.interpolate(x, scale_factor=2.0))
        x = self.b0(self.u0(torch.cat([x, h0], 1), embedding))
        return self.conv_out(F.silu(self.norm_out(x)))


def sample(unet, noise, steps=range(STEPS)):
    """Draws the digits 0 to 9 out of noise.

    noise: [STEPS, 10, 1, 16, 16]; what sampling starts from, then what each step but the last adds.
    steps: iterated over, so that a caller can show progress. Returns [10, 1, 16, 16], -1 black to 1 white, not clamped.
    """
    beta = torch.linspace(1e-4, 0.05, STEPS, dtype=torch.float64)
    alpha = 1 - beta
    remaining = torch.cumprod(alpha, 0)
    digits = torch.arange(10)
    x = noise[0]
    for step in steps:
        t = STEPS - 1 - step
        predicted = unet(x, t, digits)
        x = (x - (beta[t] / (1 - remaining[t]).sqrt()).item() * predicted) / alpha[t].sqrt().item()
        if t > 0:
            x = x + beta[t].sqrt().item() * noise[step + 1]
    return x
