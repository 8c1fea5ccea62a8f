"""Draws the comparison: one panel per number of threads, bars grouped by shape."""
import textwrap

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

COLOURS = {"edgeattn": "#1b7837", "edgeattn-bf16": "#5aae61", "edgeattn-int8": "#a6dba0", "torch": "#d95f02",
           "torch-bf16": "#b35806", "torch-compiled": "#f4a582", "torch-compiled-bf16": "#fddbc7", "onnxruntime": "#4575b4",
           "openvino": "#91bfdb", "openvino-bf16": "#c6dbef"}
GROUP_WIDTH = 0.84
CAPTION_COLUMNS_PER_INCH = 14
LEGEND_COLUMNS_PER_INCH = 0.55
# Beyond, numbers above bars are wider than these.
MOST_LEVEL_NUMBERS = 6


def draw_panel(axes, cases, labels, base):
    width = GROUP_WIDTH / len(labels)
    upright = len(labels) > MOST_LEVEL_NUMBERS
    highest = 1.0
    for index, (runtime, label) in enumerate(labels.items()):
        bars = []
        for place, case in enumerate(cases):
            report = case["runtimes"][runtime]
            ratio = 1.0 if runtime == base and "best_ms" in report else report.get("ratio")
            if ratio is not None and "failed" not in report:
                bars.append((place - GROUP_WIDTH / 2 + width * (index + 0.5), ratio))
        places, heights = zip(*bars) if bars else ((), ())
        axes.bar(places, heights, width * 0.94, color=COLOURS[runtime], label=label)
        for place, height in bars:
            if runtime != base:
                axes.annotate(f"{height:.2f}", (place, height), (0, 2), textcoords="offset points", ha="center",
                              fontsize=7, rotation=90 if upright else 0)
        highest = max([highest, *heights])
    ticks = []
    for case in cases:
        best_ms = case["runtimes"][base].get("best_ms")
        ticks.append(case["name"] + (f"\n{best_ms:.3g} ms" if best_ms else ""))
    axes.set_xticks(range(len(cases)), ticks)
    axes.set_xlim(-0.6, len(cases) - 0.4)
    axes.set_ylim(0, highest * (1.2 if upright else 1.12))
    axes.axhline(1, color=COLOURS[base], linewidth=0.8, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    threads = cases[0]["threads"]
    axes.set_title(f"{threads} thread{'s' if threads > 1 else ''}", loc="left", fontsize=10, fontweight="bold")
    axes.set_ylabel(f"time / {labels[base]}'s")


def list_versions(report):
    return ", ".join(f"{name} {version}" for name, version in report["versions"].items())


def draw(report, labels, base, paths):
    """Writes the chart of a report of compare.py to each path; `labels` maps runtimes to their names, of which `base` is 1."""
    plt.rcParams.update({"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "edgeattn"})
    panels = {}
    for case in report["results"]:
        panels.setdefault(case["threads"], []).append(case)
    most = max(map(len, panels.values()))
    figure, all_axes = plt.subplots(len(panels), 1, squeeze=False, layout="constrained",
                                    figsize=(max(8.0, 1.65 * most), 1.6 + 2.5 * len(panels)))
    for axes, cases in zip(all_axes[:, 0], panels.values()):
        draw_panel(axes, cases, labels, base)
    handles, names = all_axes[0, 0].get_legend_handles_labels()
    beside = min(len(names), int(LEGEND_COLUMNS_PER_INCH * figure.get_figwidth()))
    figure.legend(handles, names, loc="outside upper center", ncols=beside, frameon=False, title_fontsize=12,
                  title=f"One attention block: time relative to {labels[base]}'s (lower is better)")
    processes = f"{report['rounds']} process{'es' if report['rounds'] > 1 else ''}"
    precision = "float32" if report["precisions"] == ["f32"] else "float32 unless said"
    caption = [f"{report['date']}, {report['processor']}; {precision}, same weights, best of {processes} each; "
               f"under each shape {labels[base]}'s own time; {list_versions(report)}", report["command"]]
    columns = int(CAPTION_COLUMNS_PER_INCH * figure.get_figwidth())
    figure.supxlabel("\n".join(line for text in caption for line in textwrap.wrap(text, columns)), fontsize=7.5,
                     color="#444444")
    for path in paths:
        figure.savefig(path, dpi=150, facecolor="white", metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
