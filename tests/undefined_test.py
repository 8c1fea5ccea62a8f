#!/usr/bin/env python3
"""What the objects of the core library leave to others: undefined_test.py NM LIBRARY

The heap belongs to the allocator that XNNPACK is given and to its probe, files to the machine; kernels need no function but those
that a compiler may call by itself; nothing needs the C++ runtime, stdio or libm.
"""
import re
import subprocess
import sys

# Of any object. Compilers put calls of the first three where there were none; kernels have no others.
MOVES = "mem(cpy|move|set)"
MEMORY = f"{MOVES}|memcmp|memchr|strlen"
# Of compilers and linkers: 32-bit ARM's arithmetic, aarch64's atomics, hardening.
COMPILER = r"_GLOBAL_OFFSET_TABLE_|__aeabi_\w+|__aarch64_\w+|__stack_chk_\w+|__mem\w+_chk|__tls_get_addr"
ALLOWED = (  # of the first row that an object's name begins with
    (("scalar_", "x86_", "arm_", "kernels"), MOVES),
    (("block_",), f"{MEMORY}|pthreadpool_(parallelize_1d|get_threads_count)|clock_gettime"),
    (("gemm_arena_hook",), f"{MEMORY}|malloc|realloc|free|posix_memalign|pthread_(self|equal)"),
    (("gemm_pinned",), f"{MEMORY}|dl_iterate_phdr|dlopen|dladdr"),
    (("gemm_xnnpack_traits",), f"{MEMORY}|aligned_alloc|free|xnn_initialize|open(64)?|read|close"),
    (("gemm_xnnpack_operator",), f"{MEMORY}|pthread_mutex_(un)?lock|xnn_run_operator"),
    (("gemm_xnnpack_",), f"{MEMORY}|xnn_(create|delete|reshape|setup)_\\w+"),
    (("machine_machine",), f"{MEMORY}|open(64)?|read|close"),
    (("machine_processors",), f"{MEMORY}|open(64)?|read|close|sysconf|sched_getaffinity|__sched_cpucount"),
    (("machine_features",), f"{MEMORY}|getauxval"),
    (("",), MEMORY),
)


def symbols(nm, library, kind):
    """(object, symbol) of all that `nm` shows with this option; an object's name has lost its suffixes."""
    lines = subprocess.run([nm, "-A", kind, library], check=True, capture_output=True, text=True).stdout.splitlines()
    for line in lines:
        path, symbol = line.split()[0], line.split()[-1]
        yield re.search(r"([\w.-]+?)(\.cc)?\.o:", path)[1], symbol


def allowed(name, symbol):
    pattern = next(pattern for begins, pattern in ALLOWED if name.startswith(begins))
    return re.fullmatch(f"{pattern}|{COMPILER}", symbol)


def main():
    nm, library = sys.argv[1:]
    own = {symbol for _, symbol in symbols(nm, library, "--defined-only")}
    needed = sorted({(name, symbol) for name, symbol in symbols(nm, library, "--undefined-only") if symbol not in own})
    strange = [(name, symbol) for name, symbol in needed if not allowed(name, symbol)]
    for name, symbol in strange:
        print(f"{name} needs {symbol}")
    print(f"{len(needed)} needs of others, {len(strange)} not allowed")
    return 1 if strange or not needed else 0


if __name__ == "__main__":
    sys.exit(main())
