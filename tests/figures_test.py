#!/usr/bin/env python3
"""The figures of docs/figures and the charts that bench/peers/figures.py draws from them: figures_test.py

Files must be well-formed, the committed charts those that are drawn from them, and a file that is not well-formed refused.
"""
import copy
import json
import pathlib
import re
import sys
import tempfile

sys.dont_write_bytecode = True  # the source tree stays as it is
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench" / "peers"))
import chart
import figures

DOCS = ROOT / "docs"


def first(report):
    return report["results"][0]


# What spoils a good file, and a word that its refusal must have.
SPOILED = {
    "no object": (lambda report: [], "not an object"),
    "no processor": (lambda report: report.pop("processor"), "processor"),
    "no origin": (lambda report: report.pop("source"), "commit"),
    "a day that is none": (lambda report: report.update(date="2026-02-30"), "day"),
    "a date of words": (lambda report: report.update(date="today"), "date"),
    "no rounds": (lambda report: report.update(rounds=0), "rounds"),
    "precisions in another order": (lambda report: report.update(precisions=["bf16", "f32"]), "precisions"),
    "no version of edgeattn": (lambda report: report["versions"].pop("edgeattn"), "versions"),
    "no results": (lambda report: report.update(results=[]), "results"),
    "a shape of three sizes": (lambda report: first(report)["shape"].pop(), "shape"),
    "a wrong name": (lambda report: first(report).update(name="C8 8×8"), "name"),
    "no threads": (lambda report: first(report).pop("threads"), "threads"),
    "the same case twice": (lambda report: report["results"].append(first(report)), "twice"),
    "no time of edgeattn": (lambda report: first(report)["runtimes"].pop("edgeattn"), "best_ms"),
    "a runtime that nobody knows": (lambda report: first(report)["runtimes"].update(tf={"ratio": 1}), "tf"),
    "nothing measured": (lambda report: first(report)["runtimes"].update(torch={}), "torch"),
    "a ratio below 0": (lambda report: first(report)["runtimes"].update(torch={"ratio": -1}), "ratio"),
    "a ratio that is no number": (lambda report: first(report)["runtimes"].update(torch={"ratio": "2"}), "ratio"),
    "a time of infinity": (lambda report: first(report)["runtimes"].update(torch={"best_ms": float("inf")}), "best_ms"),
    "a ratio of other times": (lambda report: first(report)["runtimes"].update(torch={"best_ms": 1.0, "ratio": 1.5}), "ratio"),
    "a time without its ratio": (lambda report: first(report)["runtimes"].update(torch={"best_ms": 1.0}), "ratio"),
}


def good_report():
    return {"date": "2026-01-31", "source": "this test", "processor": "A <processor> & more", "command": "run.sh --threads 2",
            "rounds": 3, "precisions": ["f32"], "versions": {"edgeattn": "0"},
            "results": [{"shape": [1, 64, 8, 8], "name": "C64 8×8", "threads": 2,
                         "runtimes": {"edgeattn": {"best_ms": 2.0}, "torch": {"ratio": 0.5},
                                      "onnxruntime": {"failed": "it differs"}}}]}


def read_back(folder, report):
    (folder / "here.json").write_text(json.dumps(report), encoding="utf-8")
    return figures.read(folder)


def check_committed():
    reports = figures.read(DOCS / "figures")
    assert {"zen4", "zen5"} <= set(reports), f"only {sorted(reports)}"
    drawn = figures.charts(reports)
    assert sorted(drawn) == ["peers-precision.svg", "peers.svg"], f"drew {sorted(drawn)}"
    for name, text in drawn.items():
        same = (DOCS / name).read_text(encoding="utf-8") == text
        assert same, f"docs/{name} is not what docs/figures tells: python3 bench/peers/figures.py draws it"
    for name in reports:
        assert f">{figures.title(name)}</text>" in drawn["peers.svg"], f"{name} has no panel"


def check_spoiled(folder):
    read_back(folder, good_report())
    for what, (spoil, word) in SPOILED.items():
        report = copy.deepcopy(good_report())
        made = spoil(report)
        try:
            read_back(folder, made if made == [] else report)
        except ValueError as error:
            said = str(error)
            assert said.startswith("here.json: ") and word in said and "\n" not in said, f"{what}: {said}"
        else:
            raise AssertionError(f"{what} was not refused")


def check_text(folder):
    (folder / "here.json").write_text("{", encoding="utf-8")
    try:
        figures.read(folder)
    except ValueError as error:
        assert str(error).startswith("here.json: "), error
    else:
        raise AssertionError("a file that is no JSON was not refused")


def bars(svg):
    """{title of a bar: its height}"""
    return {title: float(height) for height, title in re.findall(r'height="([\d.]+)" fill="[^"]*"><title>([^<]*)</title>', svg)}


def check_bars(folder):
    """A peer that is faster is drawn lower, and one that failed not at all; a shape that a class lacks says so."""
    wider = good_report()
    wider["results"].append({"shape": [1, 64, 16, 16], "name": "C64 16×16", "threads": 2,
                             "runtimes": {"edgeattn": {"best_ms": 9.0}}})
    (folder / "other.json").write_text(json.dumps(wider), encoding="utf-8")
    svg = figures.charts(read_back(folder, good_report()))["peers.svg"]
    drawn = bars(svg)
    assert sorted(drawn) == ["C64 16×16, edgeattn: 1.00", "C64 8×8, PyTorch: 0.50", "C64 8×8, edgeattn: 1.00"], drawn
    assert abs(drawn["C64 8×8, PyTorch: 0.50"] / drawn["C64 8×8, edgeattn: 1.00"] - 0.5) < 0.01, drawn
    assert svg.count("not measured") == 1 and "A &lt;processor&gt; &amp; more" in svg


def check_base(folder):
    """Where ratios are to a reduced precision, those of float32 are to edgeattn's of float32."""
    report = good_report()
    report["precisions"] = ["f32", "int8"]
    first(report)["runtimes"] = {"edgeattn": {"best_ms": 4.0, "ratio": 2.0}, "edgeattn-int8": {"best_ms": 2.0},
                                 "torch": {"ratio": 5.0}, "torch-bf16": {"ratio": 3.0}}
    (folder / "other.json").unlink(missing_ok=True)
    drawn = figures.charts(read_back(folder, report))
    assert sorted(bars(drawn["peers.svg"])) == ["C64 8×8, PyTorch: 2.50", "C64 8×8, edgeattn: 1.00"]
    assert sorted(bars(drawn["peers-precision.svg"])) == ["C64 8×8, PyTorch bf16: 3.00", "C64 8×8, PyTorch: 5.00",
                                                          "C64 8×8, edgeattn int8: 1.00", "C64 8×8, edgeattn: 2.00"]


def check_colours(_):
    missing = set(chart.CANDIDATES) - set(chart.COLOURS)
    assert not missing, f"no colours of {sorted(missing)}"


def main():
    failed = 0
    checks = [lambda _: check_committed(), check_spoiled, check_text, check_bars, check_base, check_colours]
    with tempfile.TemporaryDirectory(prefix="edgeattn-figures-") as folder:
        for check in checks:
            try:
                check(pathlib.Path(folder))
            except (AssertionError, OSError, ValueError) as error:
                failed += 1
                print(f"FAILED: {error}")
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
