"""Runs and times the block in PyTorch: --mode eager, or compiled."""
import os

# Read when torch is imported: weights are constants, which the compiler may pack once; and it compiles in this process,
# so that none of its own is busy while runs are timed.
os.environ["TORCHINDUCTOR_FREEZING"] = "1"
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"

import torch
import torch.nn.functional as F
from torch import nn

from common import EPS, Skip, measure_forms, serve
from shapes import GROUPS


DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class Attention(nn.Module):
    def __init__(self, block):
        super().__init__()

        def parameter(array):
            return nn.Parameter(torch.from_numpy(array), requires_grad=False)

        self.gamma, self.beta = parameter(block.gamma), parameter(block.beta)
        self.qkv_weight, self.qkv_bias = parameter(block.qkv_weight), parameter(block.qkv_bias)
        self.out_weight, self.out_bias = parameter(block.out_weight), parameter(block.out_bias)
        self.scale = block.scale

    def norm(self, x):
        return F.group_norm(x, GROUPS, self.gamma, self.beta, EPS)


class LinearFused(Attention):
    def forward(self, x):
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = F.linear(tokens, self.qkv_weight, self.qkv_bias).unsqueeze(1).chunk(3, dim=-1)
        mixed = F.scaled_dot_product_attention(q, k, v).squeeze(1)
        return x + F.linear(mixed, self.out_weight, self.out_bias).transpose(1, 2).reshape(x.shape)


class LinearSoftmax(Attention):
    def forward(self, x):
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = F.linear(tokens, self.qkv_weight, self.qkv_bias).chunk(3, dim=-1)
        mixed = torch.softmax(q * self.scale @ k.transpose(1, 2), dim=-1) @ v
        return x + F.linear(mixed, self.out_weight, self.out_bias).transpose(1, 2).reshape(x.shape)


class ConvFused(Attention):
    def forward(self, x):
        qkv = F.conv2d(self.norm(x), self.qkv_weight[:, :, None, None], self.qkv_bias)
        q, k, v = (part.transpose(1, 2).unsqueeze(1) for part in qkv.flatten(2).chunk(3, dim=1))
        mixed = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2).reshape(x.shape)
        return x + F.conv2d(mixed, self.out_weight[:, :, None, None], self.out_bias)


def form(attention, compiled, dtype):
    """x and y are of the type too: what a model in bfloat16 hands from layer to layer."""
    def make(block):
        module = attention(block).eval().to(dtype)
        x = torch.from_numpy(block.x).to(dtype)
        if compiled:
            module = compile_for(module, x)
        return (lambda: module(x)), (lambda: module(x).float().numpy())

    return make


def compile_for(module, x):
    compiled = torch.compile(module)
    try:
        compiled(x)
    except Exception as error:  # the compiler's own, of many kinds
        raise Skip(f"torch.compile does not work here: {' '.join(str(error).split())[:120]}") from error
    return compiled


def measure(job, arguments):
    torch.set_num_threads(job.threads)
    torch.set_num_interop_threads(1)
    compiled = arguments.mode == "compiled"
    forms = {"linear, fused attention": LinearFused, "linear, softmax": LinearSoftmax,
             "conv, fused attention": ConvFused}
    with torch.no_grad() if compiled else torch.inference_mode():
        return measure_forms(job, torch.__version__,
                             {name: form(kind, compiled, DTYPES[job.precision]) for name, kind in forms.items()})


if __name__ == "__main__":
    serve(measure, options=["mode"])
