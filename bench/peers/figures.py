"""The figures of docs/figures, one file for each class of processors, and the charts of docs/ that are drawn from all of them:
figures.py draws these anew.

A file is the results.json of a comparison that run.sh --figures CLASS made, or was written by hand from what was documented: then
it may lack what was not recorded, has ratios where times are unknown, and its `source` says where it all comes from.
"""
import datetime
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import chart
from runtimes import CANDIDATES, OWN, PRECISIONS, base_of
from shapes import name_of

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
ROUNDING = 0.01  # of a ratio to times that are written with three digits


def require(condition, what):
    if not condition:
        raise ValueError(what)


def is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_positive(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


def check_case(case, base):
    name = case.get("name")
    shape = case.get("shape")
    require(isinstance(shape, list) and len(shape) == 4 and all(map(is_count, shape)), f"{name}: shape is not [B, C, H, W]")
    require(name == name_of(shape), f"{name}: the name of {shape} is {name_of(shape)}")
    require(is_count(case.get("threads")), f"{name}: threads is not a number of at least 1")
    runtimes = case.get("runtimes")
    require(isinstance(runtimes, dict) and is_positive(runtimes.get(base, {}).get("best_ms")), f"{name}: {base} has no best_ms")
    for key, report in runtimes.items():
        place = f"{name}, {key}"
        require(key in CANDIDATES, f"{place}: no such runtime")
        require({"best_ms", "ratio", "skipped", "failed"} & set(report), f"{place}: no time, no ratio, and not why")
        for field in ("best_ms", "ratio"):
            require(field not in report or is_positive(report[field]), f"{place}: {field} is not a positive number")
        if key == base:
            require(not {"ratio", "skipped", "failed"} & set(report), f"{place}: what ratios are to has a time alone")
        elif "best_ms" in report and "failed" not in report:
            ratio = report["best_ms"] / runtimes[base]["best_ms"]
            require(abs(report.get("ratio", 0) / ratio - 1) <= ROUNDING, f"{place}: the ratio of its times is {ratio:.3g}")


def check(report):
    """A ValueError names what is wrong with a file's report."""
    require(isinstance(report, dict), "not an object")
    for field in ("processor", "command"):
        require(isinstance(report.get(field), str) and report[field], f"{field} is missing")
    require(report.get("commit") or report.get("source"), "neither the commit that was measured nor a source")
    require(re.fullmatch(r"\d{4}-\d\d-\d\d", str(report.get("date"))), "date is not YYYY-MM-DD")
    datetime.date.fromisoformat(report["date"])
    require(is_count(report.get("rounds")), "rounds is not a number of at least 1")
    precisions = report.get("precisions")
    require(precisions and precisions == [word for word in PRECISIONS if word in precisions],
            f"precisions are not some of {', '.join(PRECISIONS)}, in this order")
    require(isinstance(report.get("versions"), dict) and OWN in report["versions"], f"versions lacks {OWN}")
    cases = report.get("results")
    require(isinstance(cases, list) and cases, "there are no results")
    for case in cases:
        check_case(case, base_of(precisions))
    places = [(case["name"], case["threads"]) for case in cases]
    require(len(set(places)) == len(places), "a shape with the same threads stands there twice")


def read(folder):
    """{class: report} of all files; a ValueError names the file and what is wrong there."""
    reports = {}
    for path in sorted(folder.glob("*.json")):
        try:
            reports[path.stem] = json.loads(path.read_text(encoding="utf-8"))
            check(reports[path.stem])
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{path.name}: {error}") from error
    return reports


def title(name):
    """zen4 is Zen 4, cortex-a76 is Cortex A76."""
    return " ".join(re.sub(r"^([a-z]{2,})(\d)", r"\1 \2", word).capitalize() for word in name.split("-"))


def panels(reports, keys_of):
    """A panel for each class that has the runtimes keys_of(report), with the most threads that were measured there."""
    found = []
    for name, report in reports.items():
        keys = keys_of(report)
        if keys:
            threads = max(case["threads"] for case in report["results"])
            found.append(chart.panel(report, keys, threads, title(name)))
    return found


def all_keys(report):
    return [key for key in CANDIDATES if any(key in case["runtimes"] for case in report["results"])]


def of_float32(report):
    return [key for key in all_keys(report) if CANDIDATES[key].precision == "f32"] if "f32" in report["precisions"] else []


def of_reduced(report):
    return all_keys(report) if report["precisions"] != ["f32"] else []


def charts(reports):
    """{name of a picture in docs/: its text}; none where no class has what it would show."""
    drawn = {"peers.svg": panels(reports, of_float32), "peers-precision.svg": panels(reports, of_reduced)}
    return {name: chart.draw(shown) for name, shown in drawn.items() if shown}


def write(path, report):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def draw(docs=DOCS):
    """Draws the charts anew, and returns their names."""
    drawn = charts(read(docs / "figures"))
    for name, text in drawn.items():
        (docs / name).write_text(text, encoding="utf-8")
    return list(drawn)


def keep(name, report):
    """Writes the figures of this class and draws the charts with them; returns the names of the files."""
    place = f"docs/figures/{name}.json"
    try:
        check(json.loads(json.dumps(report)))
    except ValueError as error:
        raise ValueError(f"{place} is not written: {error}") from error
    write(ROOT / place, report)
    return [place, *(f"docs/{chart_name}" for chart_name in draw())]


def commit():
    """The commit of this source tree, `-dirty` where it was changed since; None where git does not tell."""
    result = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"],
                            capture_output=True, text=True, check=False)
    return result.stdout.strip() or None


if __name__ == "__main__":
    try:
        print("written: " + ", ".join(f"docs/{name}" for name in draw()))
    except (OSError, ValueError) as problem:
        sys.exit(f"figures.py: {problem}")
