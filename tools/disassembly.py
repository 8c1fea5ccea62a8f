"""The loops that a compiler made, from objdump's disassembly of an object, a library or a shared one."""
import re
import subprocess

CALL = r"^(bl|blx|blr)\b"
# The products of reduced precision: set, instruction, how many of it a step of a whole tile takes, multiply-adds of each.
PRODUCTS = {"int8, SDOT": ("dotprod", r"^sdot\s", 64, 16), "fp16, FMLA": ("dotprod", r"^fmla\s+v\d+\.8h", 64, 8),
            "int8, SMMLA": ("i8mm", r"^smmla\s", 32, 32), "bf16, BFMMLA": ("i8mm", r"^bfmmla\s", 32, 16)}


def objdump(tool, path, *options):
    return subprocess.run([tool, "-C", *options, path], capture_output=True, text=True, check=True).stdout


def functions(tool, path):
    """Name → [(address, instruction)], for every function, or section of a stripped library."""
    found = {}
    body = []
    for line in objdump(tool, path, "-d", "--no-show-raw-insn").splitlines():
        if head := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            body = found.setdefault(head[1], [])
        elif instruction := re.match(r"\s*([0-9a-f]+):\s+(.*)", line):
            body.append((int(instruction[1], 16), instruction[2]))
    return found


def innermost_loops(body):
    """What lies between the target of every backward branch and that branch, but for loops around others."""
    spans = []
    places = {address: index for index, (address, _) in enumerate(body)}
    for index, (_, text) in enumerate(body):
        branch = re.match(r"(?:b|cbn?z|tbn?z)[a-z.]*\s+(?:.*,\s*)?([0-9a-f]+) <", text)
        first = places.get(int(branch[1], 16), index + 1) if branch and not re.match(CALL, text) else index + 1
        if first <= index:
            spans.append((first, index))
    inner = []
    for first, last in sorted(spans, key=lambda span: (-span[0], span[1])):
        if not inner or last < inner[-1][1]:
            inner.append((first, last))
    return [[text for _, text in body[first:last + 1]] for first, last in reversed(inner)]


def loops_of(code, *names):
    """The innermost loops of the functions named so. Helpers count alike whether they were inlined or not."""
    bodies = [body for name, body in code.items() if re.search(rf"\b({'|'.join(names)})\b", name.split("(float")[0])]
    return [loop for body in bodies for loop in innermost_loops(body)]


def count(loop, pattern):
    return sum(bool(re.search(pattern, text)) for text in loop)


def product_loop(code, step, times):
    """The loop over the depth of a whole tile, of the library of a set; None if there is none."""
    loops = [loop for loop in loops_of(code, "multiply_tile") if count(loop, step) == times]
    return min(loops, key=len, default=None)
