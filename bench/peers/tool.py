"""The edgeattn tool, asked before anything is measured."""
import subprocess

NOTES = ("edgeattn: note:", "edgeattn: warning:")


def refusal(tool, asked):
    """The line and exit code with which the tool refuses what it shall be measured with, such as a precision that this processor
    lacks; None where it takes all."""
    command = [*tool, "plan", "--shape", ",".join(map(str, asked.shapes[0])), "--gemm", asked.gemm, "--isa", asked.isa]
    for precision in asked.precision:
        result = subprocess.run([*command, "--precision", precision], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            said = [line for line in result.stderr.splitlines() if not line.startswith(NOTES)]
            return said[0] if said else f"edgeattn plan ended with {result.returncode}", result.returncode
    return None
