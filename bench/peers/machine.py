"""What a comparison says about the machine that it ran on."""
import os
import platform
import time
from pathlib import Path


def processors():
    return len(os.sched_getaffinity(0))


def processor_name():
    """The processor's name, with its family where that is told, and how many there are."""
    fields = {}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name") or platform.machine()
    if {"cpu family", "model"} <= set(fields):
        name += f" (family {fields['cpu family']}, model {fields['model']})"
    return f"{name}, {processors()} processor{'s' if processors() > 1 else ''}"


def busy_share(seconds=1.0):
    """How much of the machine's processor time others use, from 0 to 1, over the next `seconds`."""
    def read():
        times = list(map(int, Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:9]))
        return times[3] + times[4], sum(times)

    idle_before, all_before = read()
    time.sleep(seconds)
    idle, everything = read()
    return 1 - (idle - idle_before) / max(1, everything - all_before)
