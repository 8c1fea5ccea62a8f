#!/usr/bin/env python3
"""Writes golden attention blocks of real model families: make.py OUTPUT.safetensors

golden.x is an input, in float32. For every case: the module's weights under its own keys, behind the prefix `CASE.`; in
golden.CASE.y the module's output in float64; and in the metadata, as `CASE.error`, the largest difference of the module's
float32 output from that. families_test.cc holds edgeattn to it.

The modules of diffusers are diffusers' own, the current one and the AttentionBlock of 0.14. CompVis and guided-diffusion
are not packaged; theirs are written here from their formula, as is ddpm's.
"""
import importlib.util
import math
import os
import sys
import types

import safetensors.torch
import torch
from torch import nn

CHANNELS, GROUPS, HEIGHT, WIDTH = 24, 6, 8, 11


def legacy_attention_block():
    """The class of diffusers 0.14, from its file alone: the package of that time does not import with today's PyTorch."""
    path = os.path.join(os.environ["DIFFUSERS_0_14"], "diffusers/models/attention.py")
    imported = {"": {}, ".models": {}, ".utils": {}, ".utils.import_utils": {"is_xformers_available": lambda: False},
                ".models.cross_attention": {"CrossAttention": None},
                ".models.embeddings": {"CombinedTimestepLabelEmbeddings": None}}
    for name, contents in imported.items():
        sys.modules["diffusers_0_14" + name] = module = types.ModuleType("diffusers_0_14" + name)
        vars(module).update(contents)
    spec = importlib.util.spec_from_file_location("diffusers_0_14.models.attention", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.AttentionBlock


class Ddpm(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, CHANNELS, eps=1e-5)
        self.to_qkv = nn.Conv2d(CHANNELS, 3 * CHANNELS, 1)
        self.to_out = nn.Conv2d(CHANNELS, CHANNELS, 1)

    def forward(self, x):
        q, k, v = self.to_qkv(self.norm(x)).flatten(2).chunk(3, dim=1)
        weights = torch.softmax(q.transpose(1, 2) @ k / math.sqrt(CHANNELS), dim=-1)
        return x + self.to_out((v @ weights.transpose(1, 2)).reshape(x.shape))


class CompVis(nn.Module):
    """AttnBlock of latent-diffusion's ldm/modules/diffusionmodules/model.py."""

    def __init__(self):
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, CHANNELS, eps=1e-6)
        self.q = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.k = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.v = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.proj_out = nn.Conv2d(CHANNELS, CHANNELS, 1)

    def forward(self, x):
        h = self.norm(x)
        q, k, v = (project(h).flatten(2) for project in (self.q, self.k, self.v))
        weights = torch.softmax(torch.bmm(q.permute(0, 2, 1), k) * CHANNELS ** -0.5, dim=2)
        return x + self.proj_out(torch.bmm(v, weights.permute(0, 2, 1)).reshape(x.shape))


class GuidedDiffusion(nn.Module):
    """AttentionBlock of guided-diffusion's unet.py, with its QKVAttention (new) or QKVAttentionLegacy."""

    def __init__(self, heads, order):
        super().__init__()
        self.heads, self.order = heads, order
        self.norm = nn.GroupNorm(GROUPS, CHANNELS, eps=1e-5)
        self.qkv = nn.Conv1d(CHANNELS, 3 * CHANNELS, 1)
        self.proj_out = nn.Conv1d(CHANNELS, CHANNELS, 1)

    def forward(self, x):
        batch, tokens = x.shape[0], x.shape[2] * x.shape[3]
        flat = x.reshape(batch, CHANNELS, tokens)
        qkv = self.qkv(self.norm(flat))
        depth = CHANNELS // self.heads
        if self.order == "legacy":
            q, k, v = qkv.reshape(batch * self.heads, 3 * depth, tokens).split(depth, dim=1)
        else:
            q, k, v = (part.reshape(batch * self.heads, depth, tokens) for part in qkv.chunk(3, dim=1))
        scale = 1 / math.sqrt(math.sqrt(depth))
        weights = torch.softmax(torch.einsum("bct,bcs->bts", q * scale, k * scale), dim=-1)
        mixed = torch.einsum("bts,bcs->bct", weights, v).reshape(batch, CHANNELS, tokens)
        return (flat + self.proj_out(mixed)).reshape(x.shape)


def diffusers_attention(heads=1, eps=1e-6, **options):
    """As diffusers' VAEs and UNets make it (UNetMidBlock2D, AttnDownBlock2D)."""
    from diffusers.models.attention_processor import Attention
    options = {"residual_connection": True, "rescale_output_factor": 1.0, **options}
    return Attention(CHANNELS, heads=heads, dim_head=CHANNELS // heads, eps=eps, norm_num_groups=GROUPS, bias=True,
                     upcast_softmax=True, _from_deprecated_attn_block=True, **options)


def cases():
    """Makers of the modules, by the names that families_test.cc knows them by."""
    yield "ddpm", Ddpm
    yield "diffusers", diffusers_attention
    yield "diffusers-rescaled", lambda: diffusers_attention(eps=1e-5, rescale_output_factor=math.sqrt(2))
    yield "diffusers-no-residual", lambda: diffusers_attention(residual_connection=False, rescale_output_factor=1.5)
    yield "diffusers-4-heads", lambda: diffusers_attention(heads=4, eps=1e-5)
    yield "diffusers-legacy", lambda: legacy_attention_block()(CHANNELS, norm_num_groups=GROUPS, eps=1e-6)
    yield "compvis", CompVis
    yield "guided-diffusion", lambda: GuidedDiffusion(1, "new")
    yield "guided-diffusion-4-heads-legacy", lambda: GuidedDiffusion(4, "legacy")
    yield "guided-diffusion-4-heads-new", lambda: GuidedDiffusion(4, "new")


def randomize(module, generator):
    """Weights at which the softmax is neither flat nor one pixel."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                parameter.copy_(noise * 1.3 / math.sqrt(CHANNELS))
            else:
                parameter.copy_(noise * 0.1 + ("norm" in name and name.endswith("weight")))


def copy_legacy_rows(new, legacy):
    """Gives `new` the weights of `legacy`, rows in its own order: the two then compute the same."""
    order = torch.arange(3 * CHANNELS).reshape(legacy.heads, 3, -1).transpose(0, 1).flatten()
    state = legacy.state_dict()
    new.load_state_dict({key: value[order] if key.startswith("qkv") else value for key, value in state.items()})


def main():
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    generator = torch.Generator().manual_seed(7)
    tensors, metadata, modules = {}, {}, {}
    # Of deviations so small that another epsilon shows.
    x = tensors["golden.x"] = torch.randn(1, CHANNELS, HEIGHT, WIDTH, generator=generator) * 0.05 + 0.02
    for name, make in cases():
        module = modules[name] = make().eval()
        randomize(module, generator)
        if name.endswith("-new"):
            copy_legacy_rows(module, modules[name.replace("-new", "-legacy")])
        tensors.update({f"{name}.{key}": value.clone().contiguous() for key, value in module.state_dict().items()})
        y = module(x)
        exact = module.double()(x.double())
        metadata[f"{name}.error"] = repr((y.double() - exact).abs().max().item())
        tensors[f"golden.{name}.y"] = exact.contiguous()
        print(f"{name:34} float32 error {metadata[f'{name}.error']}")
    safetensors.torch.save_file(tensors, sys.argv[1], metadata)
    print(f"{sys.argv[1]}: {os.path.getsize(sys.argv[1])} bytes")


if __name__ == "__main__":
    main()
