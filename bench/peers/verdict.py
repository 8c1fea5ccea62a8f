"""Where edgeattn is the fastest, and where it is not, in plain words."""
from runtimes import CANDIDATES, OWN
from shapes import threads_text


def measured(report):
    return "best_ms" in report and "failed" not in report


def rivals(case, own):
    """{key: report} of the other runtimes that have a time and are at least as exact as edgeattn's candidate `own`."""
    return {key: report for key, report in case["runtimes"].items()
            if CANDIDATES[key].runtime != OWN and CANDIDATES[key].as_exact_as(own) and measured(report)}


def verdict(cases, own):
    """Lines on the cases of one number of threads: how often edgeattn's candidate `own` is the fastest, and each case where not."""
    threads = threads_text(cases[0]["threads"])
    compared, slower = 0, []
    for case in cases:
        others, mine = rivals(case, own), case["runtimes"].get(own.key, {})
        if not others:
            continue
        compared += 1
        key, other = min(others.items(), key=lambda item: item[1]["best_ms"])
        if not measured(mine) or other["best_ms"] < mine["best_ms"]:
            time = f"{own.label} {mine['best_ms']:.4g} ms" if measured(mine) else f"{own.label} has no time"
            slower.append(f"{threads}: {own.label} is NOT the fastest at {case['name']}: "
                          f"{CANDIDATES[key].label} takes {other['best_ms']:.4g} ms, {time}")
    if not compared:
        return [f"{threads}: no other runtime has a time that {own.label} could be compared with"]
    return [f"{threads}: {own.label} is the fastest at {compared - len(slower)} of {compared} shapes", *slower]


def verdicts(results, chosen):
    """The lines on all numbers of threads and all of edgeattn's candidates among `chosen`."""
    return [line for threads in dict.fromkeys(case["threads"] for case in results)
            for own in chosen.values() if own.runtime == OWN
            for line in verdict([case for case in results if case["threads"] == threads], own)]
