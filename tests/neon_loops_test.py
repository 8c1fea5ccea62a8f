#!/usr/bin/env python3
"""What the compiler made of the NEON kernels: neon_loops_test.py CPU_FAMILY OBJDUMP LIBRARY PEAK_OR_REDUCED_LIBRARY…

The innermost loops of softmax and statistics work on whole vector registers with fused multiply-adds and call nothing,
and the kernels need no function but those of the compiler's own library and memcpy. The loop that measures the peak
multiplies and adds whole vectors. The products of reduced precision keep their sums in registers.
"""
import pathlib
import sys

sys.dont_write_bytecode = True  # the source tree stays as it is
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
from disassembly import CALL, PRODUCTS, count, functions, loops_of, objdump, product_loop

CPU, OBJDUMP, LIBRARY, *OTHERS = sys.argv[1:]
# Powers of the softmax; sums of squares, which armv7 has in pairs of VFP registers.
POWER_STEP = r"^fmla\s+v\d+\.4s" if CPU == "aarch64" else r"^vfma\.f32\s+q\d+"
SQUARE = r"^fmla\s+v\d+\.2d" if CPU == "aarch64" else r"^vfma\.f64\s+d\d+"
DEGREE = 6
BLOCK = 8
PEAK_ACCUMULATORS = 12  # of peak_loop.h
SINGLE_LOAD = r"^v?ldr\s+s\d+"
ALLOWED = {"memcpy", "memset", "__aeabi_uidiv", "__aeabi_uidivmod"}
CODE = functions(OBJDUMP, LIBRARY)
ON_STACK = r"^(ldr|ldp|ldur|str|stp|stur)\s.*\[sp"
BETWEEN_REGISTERS = r"^(mov|dup)\s+v"


def library_named(name):
    paths = [path for path in OTHERS if path.endswith(f"_{name}.a")]
    assert len(paths) == 1, f"no library {name} among {OTHERS}"
    return paths[0]


def reduced_libraries():
    return [path for path in OTHERS if "_reduced_" in path]


def test_softmax_raises_whole_vectors():
    loops = [loop for loop in loops_of(CODE, "softmax_neon", "weights_and_sum") if count(loop, POWER_STEP) >= DEGREE]
    assert loops, "no loop with a power's fused multiply-adds"
    assert max(count(loop, POWER_STEP) for loop in loops) >= 2 * DEGREE, "no loop raises vectors side by side"
    for loop in loops:
        assert count(loop, CALL) == 0, "the loop calls a function"


def test_extremes_compare_whole_vectors():
    comparison = r"^fmaxnm\s+v\d+\.4s" if CPU == "aarch64" else r"^vmax\.f32\s+q\d+"
    loops = [loop for loop in loops_of(CODE, "extremes") if count(loop, comparison) >= 4]
    assert loops, "no loop compares four rows"
    assert all(count(loop, CALL) == 0 for loop in loops), "the loop calls a function"


def test_statistics_sum_whole_vectors():
    squares = BLOCK // 2 if CPU == "aarch64" else BLOCK
    loops = [loop for loop in loops_of(CODE, "statistics_neon", "adjacent_channels", "contiguous_channel")
             if count(loop, SQUARE) >= squares]
    assert all(count(loop, CALL) == 0 for loop in loops), "the loop calls a function"
    whole = [loop for loop in loops if count(loop, SINGLE_LOAD) == 0]
    assert len(whole) >= 2, "a loop over tokens and one over channels were expected"


def test_peak_is_that_of_whole_vectors():
    loops = loops_of(functions(OBJDUMP, library_named("neon")), "peak_neon")
    assert any(count(loop, POWER_STEP) == PEAK_ACCUMULATORS for loop in loops), "the loop takes vectors apart"


def test_products_stay_in_registers():
    for product, (set_name, step, times, _) in PRODUCTS.items():
        if not reduced_libraries():
            continue
        loop = product_loop(functions(OBJDUMP, library_named(f"reduced_{set_name}")), step, times)
        assert loop, f"{product}: no loop over the depth of a whole tile"
        assert count(loop, ON_STACK) == 0, f"{product}: the loop uses the stack"
        assert count(loop, BETWEEN_REGISTERS) == 0, f"{product}: the loop copies its sums"


def test_no_library_functions():
    for path in (LIBRARY, *reduced_libraries()):
        needed = {line.split()[-1] for line in objdump(OBJDUMP, path, "-t").splitlines() if "*UND*" in line}
        assert needed <= ALLOWED, f"{path} needs {sorted(needed - ALLOWED)}"


def main():
    passed = failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        try:
            test()
            passed += 1
        except AssertionError as error:
            failed += 1
            print(f"{name}: {error}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
