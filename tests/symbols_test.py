"""Compares what a shared library exports with a committed list: symbols_test.py NM LIST LIBRARY

A line of the list is a symbol as `nm -DC` shows it, without parameters, which differ between processors. To bring a list up
to date, look at what this prints, and mind that what is gone from the C API breaks hosts.
"""
import subprocess
import sys


def exported(nm, library):
    """Defined symbols, in order. Weak and unique ones are inline functions and constants that the compiler chose not to inline."""
    lines = subprocess.run([nm, "-D", "-C", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    symbols = (line.split(maxsplit=2)[1:] for line in lines.splitlines())
    return sorted({name.split("(")[0] for kind, name in symbols if kind not in "VWu"})


def main():
    nm, list_path, library = sys.argv[1:]
    with open(list_path, encoding="utf-8") as lines:
        wanted = lines.read().splitlines()
    given = exported(nm, library)
    for name in sorted(set(wanted) - set(given)):
        print(f"{list_path}: {name} is not exported any more")
    for name in sorted(set(given) - set(wanted)):
        print(f"{library} exports {name}, which is not in {list_path}")
    if given != wanted:
        return 1
    print(f"{len(given)} symbols, as in {list_path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
