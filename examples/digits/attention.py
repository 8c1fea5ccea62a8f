"""Lets edgeattn run the attention blocks of a PyTorch model."""
import torch
from torch import nn

import edgeattn
from unet import AttentionBlock


def attention_blocks(model):
    return [(name, module) for name, module in model.named_modules() if isinstance(module, AttentionBlock)]


class EdgeattnBlock(nn.Module):
    """Stands in for an AttentionBlock: runs a bound block of edgeattn on the same x [B, C, H, W]."""

    def __init__(self, block, shape):
        super().__init__()
        self.block, self.shape = block, shape

    def forward(self, x):
        assert x.shape == self.shape and x.dtype == torch.float32, f"planned for {self.shape}, given {x.shape}"
        x = x.contiguous()
        y = torch.empty_like(x)
        self.block.run(x.data_ptr(), y.data_ptr())
        return y


def shapes_seen(model, *inputs):
    """The shape of what each attention block of the model is given, by the block's name."""
    shapes, hooks = {}, []
    for name, module in attention_blocks(model):
        hooks.append(module.register_forward_hook(lambda _, given, __, name=name: shapes.update({name: given[0].shape})))
    model(*inputs)
    for hook in hooks:
        hook.remove()
    return shapes


def replace_attention(model, shapes, library, threads, precision=edgeattn.FLOAT32):
    """Replaces all attention blocks by edgeattn's, on one scratch memory and one pool. Returns what they need together."""
    options = edgeattn.Options(threads=threads, layout=edgeattn.NCHW, precision=precision)
    blocks = attention_blocks(model)
    plans = []
    for name, module in blocks:
        batch, channels, height, width = shapes[name]
        spec = edgeattn.Spec(channels=channels, norm=edgeattn.NORM_GROUP, groups=module.norm.num_groups, eps=module.norm.eps)
        plans.append(edgeattn.Plan(library, spec, edgeattn.Shape(batch=batch, height=height, width=width), options))

    total = library.sum_memory(plans)
    scratch = edgeattn.Memory(total.scratch_bytes)
    pool = edgeattn.Pool(library, threads)
    for (name, module), plan in zip(blocks, plans):
        weights = weights_of(module)
        weights.pool = pool.address
        prepared = plan.prepare(weights)
        model.set_submodule(name, EdgeattnBlock(plan.bind(prepared, scratch, pool), shapes[name]))
    return total


def weights_of(module):
    """Addresses of a module's weights: they are as edgeattn wants them, [3C, C] and [C, C], row-major, q before k before v."""
    weights = {"norm_weight": module.norm.weight, "norm_bias": module.norm.bias, "qkv_weight": module.to_qkv.weight,
               "qkv_bias": module.to_qkv.bias, "out_weight": module.to_out.weight, "out_bias": module.to_out.bias}
    for name, tensor in weights.items():
        assert tensor.dtype == torch.float32 and tensor.is_contiguous(), f"{name}: expected contiguous float32"
    return edgeattn.Weights(**{name: tensor.data_ptr() for name, tensor in weights.items()})
