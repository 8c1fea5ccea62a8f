#!/usr/bin/env python3
"""Makes a root for QEMU's -L (QEMU_LD_PREFIX) that looks like a board: cores.py CORE SYSROOT ROOT

XNNPACK picks its kernels by what cpuinfo reads in /proc/cpuinfo and /sys, and edgeattn's planner reads the caches there.
ROOT holds those files, and links to what is in SYSROOT. Emulated x86 processors tell by themselves: their roots are links alone.
"""
import os
import pathlib
import sys

PROCESSORS = 4
FEATURES = {
    "aarch64": "fp asimd evtstrm crc32 cpuid",
    "arm": "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae",
}
# Of a core: part number (implementer ARM), architecture, then (level, type, KiB, who shares it) of every cache.
PRIVATE, ALL = "0", f"0-{PROCESSORS - 1}"
CORES = {
    "cortex-a15": (0xC0F, 7, [(1, "Data", 32, PRIVATE), (2, "Unified", 1024, ALL)]),
    "cortex-a53": (0xD03, 8, [(1, "Data", 32, PRIVATE), (2, "Unified", 512, ALL)]),  # Raspberry Pi 3
    "cortex-a72": (0xD08, 8, [(1, "Data", 32, PRIVATE), (2, "Unified", 1024, ALL)]),  # Raspberry Pi 4
    "cortex-a76": (0xD0B, 8, [(1, "Data", 64, PRIVATE), (2, "Unified", 512, PRIVATE), (3, "Unified", 2048, ALL)]),  # Pi 5
}


def cpuinfo(part, architecture, features):
    processor = (f"BogoMIPS\t: 108.00\nFeatures\t: {features}\nCPU implementer\t: 0x41\nCPU architecture: {architecture}\n"
                 f"CPU variant\t: 0x0\nCPU part\t: 0x{part:x}\nCPU revision\t: 3\n\n")
    return "".join(f"processor\t: {index}\n{processor}" for index in range(PROCESSORS))


def files(core, sysroot):
    """What a board has at each path."""
    if core not in CORES:
        return {}
    part, architecture, caches = CORES[core]
    wide = (sysroot / "usr/lib/aarch64-linux-gnu").is_dir()
    cpus = "sys/devices/system/cpu"
    made = {"proc/cpuinfo": cpuinfo(part, architecture, FEATURES["aarch64" if wide else "arm"]),
            f"{cpus}/possible": f"{ALL}\n", f"{cpus}/present": f"{ALL}\n", f"{cpus}/online": f"{ALL}\n"}
    for index, cache in enumerate(caches):
        for name, value in zip(("level", "type", "size", "shared_cpu_list"), cache):
            made[f"{cpus}/cpu0/cache/index{index}/{name}"] = f"{value}{'K' if name == 'size' else ''}\n"
    # The host's further caches stay out of sight.
    made[f"{cpus}/cpu0/cache/index{len(caches)}/level"] = "\n"
    return made


def main():
    core, sysroot, root = sys.argv[1], *map(pathlib.Path, sys.argv[2:])
    root.mkdir(parents=True, exist_ok=True)
    for entry in sysroot.iterdir():
        link = root / entry.name
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(entry, root))
    for path, text in files(core, sysroot).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
