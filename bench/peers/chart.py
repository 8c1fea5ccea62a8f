"""Draws comparisons as SVG: a panel for each, bars grouped by shape. The text is the same on every machine, so that a test can
hold a committed chart to its figures."""
import math
import textwrap
from dataclasses import dataclass
from xml.sax.saxutils import escape

from runtimes import CANDIDATES, PRECISIONS, base_of
from shapes import name_of, operations, threads_text

COLOURS = {"edgeattn": "#1b7837", "edgeattn-bf16": "#5aae61", "edgeattn-int8": "#a6dba0", "torch": "#d95f02",
           "torch-bf16": "#b35806", "torch-compiled": "#f4a582", "torch-compiled-bf16": "#fddbc7", "onnxruntime": "#4575b4",
           "openvino": "#91bfdb", "openvino-bf16": "#c6dbef"}
DARK, GRAY, LINE = "#1b1f24", "#57606a", "#e3e7eb"
WIDTH, LEFT, RIGHT = 960, 44, 14
HEADER, PLOT, TICKS, NOTE, GAP = 26, 150, 36, 14, 22
GROUP = 0.92     # of a shape's width is bars
LEVEL_PITCH = 22  # of bars that have room for a number above them, written level
LETTER = 0.6     # a wide font's mean letter, of its size


@dataclass(frozen=True)
class Panel:
    """A comparison's cases with one number of threads; `keys` are the runtimes shown, and ratios are to `base`, one of them."""
    name: str
    about: str
    notes: tuple
    cases: list
    keys: list
    base: str

    def ratio(self, case, key):
        """Time over that of `base`, or None where one of them has none."""
        times = [relative_time(case["runtimes"].get(name, {})) for name in (key, self.base)]
        return None if None in times else times[0] / times[1]


def relative_time(report):
    """A time over that of the comparison's own base, which alone has a time and no ratio; None where there is none."""
    if "failed" in report or "skipped" in report:
        return None
    return report.get("ratio", 1.0 if "best_ms" in report else None)


def panel(report, keys, threads, name=""):
    """What a report of compare.py shows with this number of threads, of the runtimes `keys`."""
    words = [word for word in PRECISIONS if any(CANDIDATES[key].precision == word for key in keys)]
    precision = ", ".join(words).replace("f32", "float32")
    about = f"{report['processor']}; {threads_text(threads)}; {precision}; {report['date']}"
    processes = f"best of {report['rounds']} process{'es' if report['rounds'] > 1 else ''} each"
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    own = [key for key in keys if CANDIDATES[key].runtime == CANDIDATES[base_of(report["precisions"])].runtime]
    return Panel(name, about, (f"{versions}; {processes}", report["command"]),
                 [case for case in report["results"] if case["threads"] == threads], keys,
                 base_of([CANDIDATES[key].precision for key in own]))


class Drawing:
    def __init__(self):
        self.parts = []

    def rect(self, x, y, width, height, fill, title=""):
        inside = f"><title>{escape(title)}</title></rect>" if title else "/>"
        self.parts.append(f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" fill="{fill}"{inside}')

    def line(self, x, y, width, stroke):
        self.parts.append(f'<path d="M{x:.2f} {y:.2f}h{width:.2f}" stroke="{stroke}"/>')

    def text(self, x, y, text, size=11, fill=DARK, anchor="start", bold=False, upright=False):
        more = ' font-weight="bold"' if bold else ""
        place = f'transform="translate({x:.2f} {y:.2f}) rotate(-90)"' if upright else f'x="{x:.2f}" y="{y:.2f}"'
        self.parts.append(f'<text {place} font-size="{size}" fill="{fill}" text-anchor="{anchor}"{more}>{escape(text)}</text>')

    def svg(self, height):
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.2f}" '
                f'viewBox="0 0 {WIDTH} {height:.2f}" font-family="Helvetica, Arial, sans-serif">')
        # White on any page, so that colours and text stand out on dark ones too.
        back = f'<rect x="0" y="0" width="{WIDTH}" height="{height:.2f}" fill="#ffffff"/>'
        return "\n".join([head, back, *self.parts, "</svg>", ""])


def draw_legend(drawing, keys, y):
    """Returns where it ends."""
    x = LEFT
    for key in keys:
        label = CANDIDATES[key].label
        width = 20 + 12 * LETTER * len(label) + 16
        if x + width > WIDTH:
            x, y = LEFT, y + 20
        drawing.rect(x, y - 10, 14, 11, COLOURS[key])
        drawing.text(x + 20, y, label, 12)
        x += width
    return y + 14


def draw_axis(drawing, y, highest, scale, base):
    step = next(step for step in (0.5, 1, 2, 5, 10 ** math.ceil(math.log10(highest))) if highest / step <= 6)
    for count in range(math.floor(highest / step) + 1):
        drawing.line(LEFT, y - count * step * scale, WIDTH - LEFT - RIGHT, LINE)
        drawing.text(LEFT - 6, y - count * step * scale + 4, f"{count * step:g}", 11, GRAY, "end")
    drawing.line(LEFT, y - scale, WIDTH - LEFT - RIGHT, COLOURS[base])


def draw_group(drawing, panel, case, keys, place, y, scale):
    """The bars of one case; `place` is its left end and its width."""
    left, width = place
    pitch = width * GROUP / len(keys)
    x = left + width * (1 - GROUP) / 2
    for key in keys:
        ratio = panel.ratio(case, key) if key in panel.keys else None
        if ratio is not None:
            drawing.rect(x, y - ratio * scale, pitch * 0.92, ratio * scale, COLOURS[key],
                         f"{case['name']}, {CANDIDATES[key].label}: {ratio:.2f}")
            upright = pitch < LEVEL_PITCH
            if key != panel.base:
                drawing.text(x + pitch * (0.46 + (0.23 if upright else 0)), y - ratio * scale - 3, f"{ratio:.2f}", 9.5,
                             anchor="start" if upright else "middle", upright=upright)
        x += pitch


def draw_panel(drawing, panel, shapes, keys, highest, y):
    """Draws from y downwards, and returns where it ends."""
    drawing.text(LEFT, y, panel.name, 14, bold=True)
    drawing.text(LEFT + (14 * LETTER * len(panel.name) + 14 if panel.name else 0), y, panel.about, 12, GRAY)
    width = (WIDTH - LEFT - RIGHT) / len(shapes)
    room = 34 if width * GROUP / len(keys) < LEVEL_PITCH else 18
    y += 8 + PLOT
    scale = (PLOT - room) / highest
    draw_axis(drawing, y, highest, scale, panel.base)
    cases = {tuple(case["shape"]): case for case in panel.cases}
    for index, shape in enumerate(shapes):
        left, case = LEFT + index * width, cases.get(shape)
        drawing.text(left + width / 2, y + 15, name_of(shape), 12, anchor="middle")
        if case is None:
            drawing.text(left + width / 2, y + 30, "not measured", 11, GRAY, "middle")
            continue
        draw_group(drawing, panel, case, keys, (left, width), y, scale)
        best_ms = case["runtimes"].get(panel.base, {}).get("best_ms")
        if best_ms:
            drawing.text(left + width / 2, y + 30, f"{best_ms:#.3g}".rstrip(".") + " ms", 11, GRAY, "middle")
    y += TICKS
    columns = int((WIDTH - LEFT - RIGHT) / (10.5 * LETTER))
    for line in (line for note in panel.notes for line in textwrap.wrap(note, columns, break_on_hyphens=False)):
        y += NOTE
        drawing.text(LEFT, y, line, 10.5, GRAY)
    return y


def draw(panels):
    """The chart of some panels as the text of an SVG file."""
    drawing = Drawing()
    keys = [key for key in CANDIDATES if any(key in panel.keys for panel in panels)]
    shapes = sorted({tuple(case["shape"]) for panel in panels for case in panel.cases}, key=operations)
    ratios = [panel.ratio(case, key) for panel in panels for case in panel.cases for key in panel.keys]
    highest = max([1.0, *(ratio for ratio in ratios if ratio is not None)])
    base = " or ".join(dict.fromkeys(CANDIDATES[panel.base].label for panel in panels))
    drawing.text(LEFT, 28, f"One attention block: time relative to {base}'s (lower is better)", 16, bold=True)
    drawing.text(LEFT, 46, f"under each shape {base}'s own time", 12, GRAY)
    y = draw_legend(drawing, keys, 70)
    for shown in panels:
        y = draw_panel(drawing, shown, shapes, keys, highest, y + HEADER) + GAP - 4
    return drawing.svg(y)
