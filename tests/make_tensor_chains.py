#!/usr/bin/env python3
"""Writes random chains of view operations with PyTorch's results: make_tensor_chains.py > data/tensor-chains.txt

Needs PyTorch (pip install torch). Each line is a chain that starts with a tensor of the elements 0, 1, 2, …:

    2 3 4 | p- 2 0 1 | v! 6 4 | c+ | v+ 6 -1 | 6 4 : 0 12 1 13 …

its sizes; its steps, each with its numbers; and the sizes and the elements in the order of their indices that come out. The
sign says whether the tensor is contiguous after the step, or (!) that PyTorch refused it, which leaves the tensor as it was.

    p DIM…                  permute          t DIM DIM               transpose
    v SIZE…                 view             c                       contiguous
    s SIZE DIM PART         split, and on with that part
    l DIM PART : SIZE…      the same with a list of sizes
"""
import math
import random
import sys
import warnings

warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
import torch  # noqa: E402: after the filter of a warning that it gives

CHAINS = 1000
SEED = 1
MOST_ELEMENTS = 96
MOST_DIMS = 6


def random_sizes(rng):
    """Sizes with a product of at most MOST_ELEMENTS; few tensors have no elements."""
    sizes = []
    for _ in range(rng.randint(0, 5)):
        most = MOST_ELEMENTS // max(1, math.prod(sizes))
        sizes.append(rng.choice([1, 2, 2, 3, 3, 4, 5, 6, 7]))
        sizes[-1] = min(sizes[-1], most)
    if sizes and rng.random() < 0.03:
        sizes[rng.randrange(len(sizes))] = 0
    return sizes


def random_cut(rng, elements):
    """Sizes with a product of `elements`, one of them now and then as -1."""
    sizes = []
    left = elements
    while len(sizes) < MOST_DIMS and (left > 1 or rng.random() < 0.3):
        divisors = [d for d in range(1, left + 1) if left % d == 0] or [0, 1, 2, 3]
        sizes.append(rng.choice(divisors))
        left = left // sizes[-1] if sizes[-1] else 1
    if left != 1 or (elements == 0 and 0 not in sizes):
        sizes.append(left)
    if sizes and rng.random() < 0.3:
        sizes[rng.randrange(len(sizes))] = -1
    return sizes


def regrouped(rng, sizes):
    """`sizes` with neighbours joined, or 1 put between them: a view that strides often allow."""
    result = []
    for size in sizes:
        if result and rng.random() < 0.4:
            result[-1] *= size
        else:
            result.append(size)
        if len(result) < MOST_DIMS and rng.random() < 0.1:
            result.append(1)
    return result[:MOST_DIMS] if math.prod(result[:MOST_DIMS]) == math.prod(sizes) else list(sizes)


def any_sign(rng, dim, rank):
    return dim - rank if rng.random() < 0.3 else dim


def random_step(rng, x):
    """(letter, numbers, operation on a tensor)."""
    rank = x.dim()
    kind = rng.choice("ppttvvvvcsl" if rank else "vc")
    if kind == "p":
        dims = [any_sign(rng, d, rank) for d in rng.sample(range(rank), rank)]
        return kind, dims, lambda t: t.permute(dims)
    if kind == "t":
        a, b = (any_sign(rng, rng.randrange(rank), rank) for _ in range(2))
        return kind, [a, b], lambda t: t.transpose(a, b)
    if kind == "v":
        sizes = regrouped(rng, x.shape) if rng.random() < 0.5 else random_cut(rng, x.numel())
        return kind, sizes, lambda t: t.view(sizes)
    if kind == "c":
        return kind, [], lambda t: t.contiguous()
    dim = any_sign(rng, rng.randrange(rank), rank)
    all_of = x.shape[dim]
    if kind == "s":
        size = rng.randint(1, all_of + 1)
        part = rng.randrange(len(x.split(size, dim)))
        return kind, [size, dim, part], lambda t: t.split(size, dim)[part]
    cuts = sorted(rng.randint(0 if rng.random() < 0.1 else min(1, all_of), all_of) for _ in range(rng.randint(0, 3)))
    sizes = [b - a for a, b in zip([0, *cuts], [*cuts, all_of])]
    part = rng.choice([i for i, size in enumerate(sizes) if size] or [0])
    return kind, [dim, part, ":", *sizes], lambda t: t.split(sizes, dim)[part]


def words(numbers):
    return " ".join(map(str, numbers))


def chain(rng):
    sizes = random_sizes(rng)
    while math.prod(sizes) < 24 and rng.random() < 0.9:
        sizes = random_sizes(rng)
    x = torch.arange(math.prod(sizes)).view(sizes)
    steps = []
    for _ in range(rng.randint(3, 8)):
        kind, numbers, operation = random_step(rng, x)
        try:
            x = operation(x)
            sign = "+" if x.is_contiguous() else "-"
        except RuntimeError:
            sign = "!"
        steps.append(f"{kind}{sign} {words(numbers)}".rstrip())
    elements = x.flatten().tolist() if x.numel() else []
    return " | ".join([words(sizes), *steps, f"{words(x.shape)} : {words(elements)}".strip()])


def main():
    rng = random.Random(SEED)
    for _ in range(CHAINS):
        print(chain(rng))
    print(f"PyTorch {torch.__version__}, seed {SEED}", file=sys.stderr)


if __name__ == "__main__":
    main()
