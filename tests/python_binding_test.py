#!/usr/bin/env python3
"""Tests examples/digits/edgeattn.py, the binding by ctypes: python_binding_test.py LIBEDGEATTN"""
import array
import ctypes
import pathlib
import re
import sys
import traceback

sys.dont_write_bytecode = True  # the source tree stays as it is
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples/digits"))
import edgeattn

LIBRARY = edgeattn.Library(sys.argv[1])
CHANNELS, GROUPS, EPS, BIAS = 24, 3, 1e-5, 0.5
SIDES = (6, 9)
SCALAR = 1
STRUCTS = {"spec": edgeattn.Spec, "shape": edgeattn.Shape, "options": edgeattn.Options, "weights": edgeattn.Weights,
           "plan_info": edgeattn.PlanInfo, "memory": edgeattn.MemorySum}
TYPES = {"size_t": ctypes.c_size_t, "double": ctypes.c_double, "const float*": ctypes.c_void_p, "struct pthreadpool*": ctypes.c_void_p, "int32_t": ctypes.c_int32,
         "edgeattn_norm": ctypes.c_int32, "edgeattn_layout": ctypes.c_int32, "edgeattn_isa": ctypes.c_int32,
         "edgeattn_precision": ctypes.c_int32, "edgeattn_gemm": ctypes.c_int32}


def address(values):
    return values.buffer_info()[0]


def plan(side, channels=CHANNELS, **options):
    spec = edgeattn.Spec(channels=channels, norm=edgeattn.NORM_GROUP, groups=GROUPS, eps=EPS)
    return edgeattn.Plan(LIBRARY, spec, edgeattn.Shape(batch=2, height=side, width=side),
                         edgeattn.Options(threads=2, layout=edgeattn.NHWC, **options))


def refused(words, call, *arguments):
    try:
        call(*arguments)
    except edgeattn.Error as error:
        assert all(word in str(error) for word in words), f"expected {words}, got {error}"
        return
    raise AssertionError(f"accepted, expected an error with {words}")


def test_structs_have_the_fields_of_the_header():
    header = (ROOT / "include/edgeattn/edgeattn.h").read_text(encoding="utf-8")
    for name, struct in STRUCTS.items():
        body = re.search(rf"typedef struct edgeattn_{name} {{\n(.*?)\n}}", header, re.S)[1]
        fields = re.findall(r"^  ([\w *]+?) (\w+);", body, re.M)
        assert struct._fields_ == [(field, TYPES[kind]) for kind, field in fields], f"edgeattn_{name}: {fields}"


def test_blocks_share_weights_scratch_and_a_pool():
    """With an output projection of zeros a block adds its bias to every value and nothing else."""
    plans = [plan(side) for side in SIDES]
    ones = array.array("f", [1] * CHANNELS)
    zeros = array.array("f", [0] * (3 * CHANNELS * CHANNELS))
    bias = array.array("f", [BIAS] * CHANNELS)
    weights = edgeattn.Weights(norm_weight=address(ones), norm_bias=address(zeros), qkv_weight=address(zeros),
                               out_weight=address(zeros), out_bias=address(bias))
    total = LIBRARY.sum_memory(plans)
    assert total.scratch_bytes == max(p.info.scratch_bytes for p in plans) > 0
    assert total.persistent_bytes == sum(p.info.persistent_bytes for p in plans) > 0
    scratch, pool = edgeattn.Memory(total.scratch_bytes), edgeattn.Pool(LIBRARY, 2)
    weights.pool = pool.address
    prepared = plans[0].prepare(weights)
    blocks = [p.bind(prepared, scratch, pool) for p in plans]
    del scratch, pool, prepared
    for block, side in zip(blocks, SIDES):
        x = array.array("f", [i % 17 - 8 for i in range(2 * side * side * CHANNELS)])
        y = array.array("f", x)
        block.run(address(x), address(y))
        assert list(y) == [value + BIAS for value in x]
        block.run(address(x), address(x))
        assert x == y


def test_plans_tell_what_they_chose():
    info = plan(SIDES[0]).info
    assert info.threads == 2 and info.query_tile > 0 and info.key_block > 0 and info.isa > 0
    assert info.external_bytes == 0 and info.budget_reduced_keys == 0


def test_precisions_reach_the_plan():
    whole = plan(SIDES[0], isa=SCALAR).info
    assert whole.precision == edgeattn.FLOAT32
    for precision in (edgeattn.BFLOAT16, edgeattn.INT8):
        info = plan(SIDES[0], isa=SCALAR, precision=precision).info
        assert info.precision == precision and info.prepared_bytes < whole.prepared_bytes
    refused(["options.precision", "from 0 to 2, got 3"], lambda: plan(SIDES[0], precision=3))


def test_errors_carry_the_line_of_the_library():
    refused(["edgeattn_make_plan", "invalid argument", "groups"], plan, SIDES[0], CHANNELS + 1)
    refused(["edgeattn_prepare", "invalid argument", "norm.weight"], plan(SIDES[0]).prepare, edgeattn.Weights())


def test_versions_are_told():
    assert LIBRARY.version.count(".") == 2


def main():
    checks = [(name, check) for name, check in globals().items() if name.startswith("test_")]
    failed = 0
    for name, check in checks:
        try:
            check()
        except Exception:  # every failure is reported, and the next check runs
            failed += 1
            print(f"FAILED: {name}\n{traceback.format_exc()}")
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
