#!/usr/bin/env python3
"""What the kernels should cost on the boards, by static analysis: arm_costs.py BUILD MCA DOCUMENT

BUILD is build/cross/aarch64 after `tools/cross.sh aarch64`, MCA an llvm-mca. Rewrites what stands between the markers
of DOCUMENT. Nothing here was measured on a board, and caches and memory are not part of the model.
"""
import json
import math
import os
import pathlib
import re
import subprocess
import sys

from disassembly import PRODUCTS, count, functions, loops_of, product_loop

TRIPLET = "aarch64-linux-gnu"
BEGIN, END = "<!-- tools/arm_costs.sh: begin -->", "<!-- tools/arm_costs.sh: end -->"
# Board, core, llvm-mca's name for the core's pipelines.
BOARDS = (("Raspberry Pi 3", "cortex-a53", "cortex-a53"), ("Raspberry Pi 4", "cortex-a72", "cortex-a72"),
          ("Raspberry Pi 5", "cortex-a76", "neoverse-n1"))
# Core, llvm-mca's name for its pipelines, the sets of reduced precision that it has.
REDUCED_CORES = (("cortex-a55", "cortex-a55", ("dotprod",)), ("cortex-a76", "neoverse-n1", ("dotprod",)),
                 ("cortex-a510", "cortex-a510", ("dotprod", "i8mm")), ("cortex-a710", "neoverse-n2", ("dotprod", "i8mm")))
THREADS = 4
SHAPES = ((256, 16), (256, 32), (512, 32), (512, 64))
LARGEST_SHARE = 10

SQUARE = r"^fmla\s+v\d+\.2d"
FUSED = r"^fmla\s+v\d+\.4s"
TURN = r"^(trn|zip)1\s"
# Kernel, phase, functions its loop may be in, an instruction of the loop and how often, what counts its elements.
KERNELS = (
    ("statistics", "statistics", ("statistics_neon", "adjacent_channels", "contiguous_channel"), SQUARE, 4, ("ld", 1)),
    ("pack", "pack", ("pack_neon", "pack_blocks"), TURN, 2, ("st", 2)),
    ("unpack_rows", "project", ("unpack_rows_neon",), r"^ldr\s+q", 1, ("st", 1)),
    ("softmax: extremes", "softmax", ("extremes",), r"^fmaxnm\s", 4, ("ld", 1)),
    ("softmax: powers", "softmax", ("softmax_neon", "weights_and_sum"), FUSED, 12, ("st", 1)),
    ("accumulate", "mix", ("accumulate_neon",), FUSED, 1, ("st", 1)),
    ("normalize_rows", "mix", ("normalize_rows_neon",), r"^fmul\s", 1, ("st", 1)),
    ("poison_rows", "transpose", ("poison_rows_neon",), FUSED, 1, ("ld", 1)),
    ("add_residual", "transpose", ("add_residual_neon", "turn_block"), TURN, 2, ("st", 1)),
)
# Jumps, and single lanes: not the loop over whole vectors.
ELSEWHERE = r"^b\s|^(ld1|st1)\s+\{v\d+\.s\}"
GEMM_STEP = r"^fmla\s+v\d+\.4s, v\d+\.4s, v\d+\.s\["


def floats_moved(loop, direction):
    """Floats that a loop loads or stores in vector registers in one iteration."""
    floats = 0
    for text in loop:
        moved = re.match(rf"{direction}(r|p|ur)\s+([qd])\d+(?:, ([qd])\d+)?", text)
        if moved and "[sp" not in text:
            floats += sum(4 if register == "q" else 2 for register in moved.groups()[1:] if register)
    return floats


def cycles(mca, core, loop):
    """Cycles of one iteration of a loop, all of its data in the first cache."""
    iterations = 200
    code = "\n".join(re.sub(r"[0-9a-f]+ <.*", ".", text.split("//")[0]) for text in loop)
    report = subprocess.run([mca, f"-mtriple={TRIPLET}", f"-mcpu={core}", "-mattr=+dotprod,+fullfp16,+i8mm,+bf16",
                             f"-iterations={iterations}"], input=code,
                            capture_output=True, text=True, check=True).stdout
    return int(re.search(r"Total Cycles:\s+(\d+)", report)[1]) / iterations


def kernel_loops(code):
    """Kernel → its loops over whole vectors and their elements an iteration."""
    found = {}
    for kernel, _, names, step, least, (direction, times) in KERNELS:
        loops = [loop for loop in loops_of(code, *names) if count(loop, step) >= least
                 and not count(loop[:-1], ELSEWHERE)]
        if not loops:
            sys.exit(f"arm_costs.py: no loop of {kernel} found in the library")
        found[kernel] = [(loop, floats_moved(loop, direction) / times) for loop in loops]
    return found


def gemm_loops(code):
    """The loops of XNNPACK's float32 GEMM microkernels, and their multiply-adds an iteration."""
    loops = [loop for body in code for loop in loops_of(code, re.escape(body))]
    return [(loop, 4 * count(loop, GEMM_STEP)) for loop in loops
            if count(loop, GEMM_STEP) >= 48 and not count(loop[:-1], ELSEWHERE)]


def reduced_table(build, mca, gemms):
    """The products of reduced precision, a multiply-add, and the best of XNNPACK's in float32."""
    head = ["product", "set", "multiply-adds a step", "instructions a step", "instructions a multiply-add"]
    best = [min(cycles(mca, pipelines, loop) / products for loop, products in gemms) for _, pipelines, _ in REDUCED_CORES]
    rows = [["float32, XNNPACK's FMLA", "neon", "", "", ""] + [f"{least:.3f}" for least in best]]
    for product, (set_name, step, times, each) in PRODUCTS.items():
        library = build / f"build/arch/libedgeattn_reduced_{set_name}.a"
        loop = product_loop(functions(f"{TRIPLET}-objdump", library), step, times)
        if not loop:
            sys.exit(f"arm_costs.py: no loop of {product} found in the library")
        row = [product, set_name, str(times * each), str(len(loop)), f"{len(loop) / (times * each):.3f}"]
        for _, pipelines, sets in REDUCED_CORES:
            row.append(f"{cycles(mca, pipelines, loop) / (times * each):.3f}" if set_name in sets else "")
        rows.append(row)
    return table(head + [core for core, _, _ in REDUCED_CORES], rows)


def plan(build, core, channels, side):
    """The plan of a block for the board with this core, asked of the tool under emulation."""
    environment = {**os.environ, "QEMU_LD_PREFIX": str(build / "cores" / core), "QEMU_CPU": core}
    command = ["qemu-aarch64", str(build / "build/src/edgeattn"), "plan", "--shape", f"1,{channels},{side},{side}",
               "--threads", str(THREADS), "--json"]
    return json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def work_per_token(channels, side, tile):
    """Elements of every kernel, and multiply-adds of the GEMMs, for one token."""
    tokens = side * side
    blocks = math.ceil(tokens / tile["bk"])
    elements = {kernel: channels for kernel, *_ in KERNELS}
    elements["softmax: extremes"] = elements["softmax: powers"] = tokens
    elements["accumulate"] = channels * (blocks - 1)
    return elements, 2 * channels * channels + 2 * tokens * channels


def table(head, rows):
    return "\n".join(["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)])


def report(build, mca):
    kernels = kernel_loops(functions(f"{TRIPLET}-objdump", build / "build/arch/libedgeattn_neon.a"))
    library = build / "sysroot/usr/lib" / TRIPLET / "libXNNPACK.so"
    gemms = gemm_loops(functions(f"{TRIPLET}-objdump", library))
    cost = {}
    for _, core, pipelines in BOARDS:
        for kernel, loops in kernels.items():
            cost[core, kernel] = max(cycles(mca, pipelines, loop) / elements for loop, elements in loops)
        cost[core, "gemm"] = min(cycles(mca, pipelines, loop) / products for loop, products in gemms)
    rows = [[kernel, phase] + [f"{cost[core, kernel]:.2f}" for _, core, _ in BOARDS] for kernel, phase, *_ in KERNELS]
    rows.append(["XNNPACK's GEMM, a multiply-add", "project, scores, mix, out"] +
                [f"{cost[core, 'gemm']:.3f}" for _, core, _ in BOARDS])
    parts = ["Cycles an element (of the image, of the scores or of the tile), one core:",
             table(["kernel", "phase"] + [core for _, core, _ in BOARDS], rows)]

    parts += ["Products of reduced precision: instructions of the inner loop of a whole tile, and cycles a multiply-add, one "
              "core:",
              reduced_table(build, mca, gemms)]

    shares, tiles, worst = [], [], 0
    for channels, side in SHAPES:
        name = f"C{channels} {side}×{side}"
        share, picked = [name], [name]
        for _, core, _ in BOARDS:
            planned = plan(build, core, channels, side)
            tile = planned["tile"]
            elements, products = work_per_token(channels, side, tile)
            spent = {kernel: elements[kernel] * cost[core, kernel] for kernel in elements}
            total = sum(spent.values()) + products * cost[core, "gemm"]
            softmax = sum(spent[kernel] for kernel in spent if kernel.startswith("softmax"))
            kernels_share = 100 * sum(spent.values()) / total
            share.append(f"{100 * softmax / total:.1f} + {kernels_share - 100 * softmax / total:.1f} %")
            worst = max([worst] + [100 * value / total for value in (softmax, *spent.values())])
            picked.append(f"Bq {tile['bq']}, Bk {tile['bk']}, {planned['scratch_bytes'] / 2**20:.1f} MiB")
        shares.append(share)
        tiles.append(picked)
    boards = [f"{board} ({core})" for board, core, _ in BOARDS]
    parts += ["Share of a run that softmax, and all other kernels together, should have; the rest is GEMMs. NCHW, and the "
              "plan's tiles:",
              table(["block"] + boards, shares),
              f"The largest share of one kernel here is {worst:.1f} %, where {LARGEST_SHARE} % is the limit.",
              f"Tiles that the planner picks with {THREADS} threads, and the scratch that they take:",
              table(["block"] + boards, tiles)]
    return "\n\n".join(parts), worst


def main():
    build, mca, document = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    text, worst = report(build, mca)
    before, rest = document.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    document.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
    print(text)
    if worst > LARGEST_SHARE:
        sys.exit(f"arm_costs.py: a kernel takes more than {LARGEST_SHARE} %")


if __name__ == "__main__":
    main()
