#!/usr/bin/env python3
"""Sums up the cases of `meson test` runs: sum_tests.py TESTLOG.json…

A test that prints a sum of its own (doctest's, or "N passed, N failed") counts with its cases, any other as one case.
Prints "N passed, N failed, N skipped"; exits 1 if anything failed or nothing ran.
"""
import json
import re
import sys

SUMS = (re.compile(r"^\[doctest\] test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed", re.M),
        re.compile(r"^(\d+) passed, (\d+) failed", re.M))


def cases(test):
    """(passed, failed, skipped) of one test."""
    if test["result"] == "SKIP":
        return 0, 0, 1
    good = test["result"] == "OK"
    sums = [match for pattern in SUMS for match in pattern.findall(test.get("stdout") or "")]
    passed = sum(int(passed) for passed, _ in sums)
    failed = sum(int(failed) for _, failed in sums)
    if not sums:
        return int(good), int(not good), 0
    return passed, max(failed, int(not good)), 0


def main():
    tests = []
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as log:
            tests += map(json.loads, log)
    passed, failed, skipped = (sum(column) for column in zip(*map(cases, tests)))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
