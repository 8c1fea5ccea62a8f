"""The comparison as text: tables of times, and what was skipped or failed."""
import math

from shapes import threads_text


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def cell(report):
    if not report:
        return "–"
    for kind in ("failed", "skipped"):
        if kind in report:
            return kind
    return f"{report['best_ms']:.3f}" + (f" ({report['ratio']:.2f}×)" if "ratio" in report else "")


def print_table(cases, labels, base):
    """The cases of one number of threads: best milliseconds, in brackets times those of `base`, and their geometric mean."""
    if not cases:
        return
    print(f"\n{threads_text(cases[0]['threads'])}: best ms (× {labels[base]}'s)\n")
    print(f"{'shape':16}" + "".join(f"{label:>22}" for label in labels.values()) + f"{'max abs error':>16}")
    for case in cases:
        reports = [case["runtimes"].get(runtime, {}) for runtime in labels]
        errors = [report["max_abs_error"] for report in reports if "max_abs_error" in report]
        print(f"{case['name']:16}" + "".join(f"{cell(report):>22}" for report in reports) +
              (f"{max(errors):16.1e}" if errors else ""))
    line = f"{'geometric mean':16}"
    for runtime in labels:
        reports = [case["runtimes"].get(runtime, {}) for case in cases]
        ratios = [report["ratio"] for report in reports if "ratio" in report and "failed" not in report]
        line += f"{f'{geometric_mean(ratios):.2f}×' if ratios else '':>22}"
    print(line, flush=True)


def complaints(results, labels, kind):
    """One line for each runtime that is `kind` ("skipped" or "failed") and reason, with the cases that it holds for."""
    places = {}
    for case in results:
        for runtime, report in case["runtimes"].items():
            if kind in report:
                cases = places.setdefault((labels[runtime], report[kind]), [])
                cases.append(f"{case['name']} with {case['threads']}")
    return [f"{label} {kind} ({', '.join(cases)}): {reason}" for (label, reason), cases in places.items()]
