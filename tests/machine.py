"""What the processor that programs run on lacks, as the tool says it."""
import re

PLAN = "plan --shape 1,64,4,4".split()
# All reasons that there are to refuse an instruction set or a precision that the options name.
REASONS = {
    "--isa": r"this (processor has no {0}|build has no {0} kernels)",
    "--precision": r"(precision {0} needs (AVX512-BF16 and AVX512-VNNI, which (avx2 does not include|this processor lacks)"
                   r"|dot products and fp16 arithmetic, or i8mm and bf16, which this processor lacks)"
                   r"|this build has no kernels of precision {0} for (avx512|neon))",
}


def lacks(call, option, value):
    """Why `option value` is refused here, or None. `call` runs the tool. Fails where it is refused without one of the reasons."""
    result = call(*PLAN, option, value)
    if result.returncode == 0:
        return None
    assert result.returncode == 1 and result.stdout == "", result
    reason = re.fullmatch(r"edgeattn: (.*)\n", result.stderr)
    assert reason and re.fullmatch(REASONS[option].format(value), reason[1]), result.stderr
    return reason[1]
