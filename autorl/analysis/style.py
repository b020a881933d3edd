"""How figures look: one palette that colour-blind people can tell apart, plain axes, and SVG that a page can hold.

Figures are `matplotlib.figure.Figure` objects made directly: no pyplot, no display, no global state. Colours are those of Okabe and
Ito (2008); whatever a colour says, a marker or a label says too.
"""

from __future__ import annotations

import io
import re
import textwrap
from typing import TYPE_CHECKING, Any

from autorl.analysis.scores import count, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2328", "#69707a", "#dfe3e8"
BLUE, VERMILION, GREEN, PURPLE, GREY = "#0072b2", "#d55e00", "#009e73", "#b5578f", "#b4bac2"
ORANGE, SKY, OLIVE, BROWN = "#b8860b", "#3f9fd0", "#6b7f10", "#8c564b"
_MAIN = {"method": (BLUE, "o"), "random": (VERMILION, "s"), "default": (GREEN, "D")}
_OTHERS = ((ORANGE, "^"), (SKY, "v"), (OLIVE, "P"), (BROWN, "X"), (ORANGE, "<"), (SKY, ">"), (OLIVE, "*"), (BROWN, "h"))


def arm_style(arm: str, arms: Iterable[str]) -> tuple[str, str]:
    """Return colour and marker of ``arm``; the objectives among ``arms`` take theirs in turn."""
    if arm in _MAIN:
        return _MAIN[arm]
    others = [name for name in arms if name not in _MAIN]
    return _OTHERS[others.index(arm) % len(_OTHERS)]


WIDTH = 8.6
"""Inches of a figure as wide as the page."""
PAGE_COLOURS = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    GREY: "faint",
    BLUE: "method",
    VERMILION: "random",
    GREEN: "default",
    PURPLE: "failed",
}
"""The page's variable behind each colour: a dark page has lighter ones."""
_TEXT, _SMALL, _TITLE = 9.5, 8.5, 11.0
_LETTERS = 10.6
"""Letters of a title on an inch."""


def new_figure(height: float, rows: int = 1, columns: int = 1, width: float = WIDTH) -> tuple[Figure, list[Axes]]:
    """Return an empty figure and its axes, row by row."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    figure = Figure(figsize=(width, height), layout=layout, facecolor="none")
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = [axis for row in grid for axis in row]
    for axis in axes:
        dress(axis)
    return figure, axes


def dress(axis: Axes) -> None:
    """Give an axis the house style: no box, a faint horizontal grid, small muted tick labels."""
    axis.set_facecolor("none")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_color(GREY)
    axis.grid(axis="y", color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(colors=MUTED, labelsize=_SMALL, length=3, which="both")


def label(axis: Axes, title: str = "", x: str = "", y: str = "") -> None:
    """Set title (left) and axis labels in the house style."""
    axis.set_title(title, loc="left", fontsize=_TEXT, color=INK, fontweight="bold")
    axis.set_xlabel(x, fontsize=_TEXT, color=INK)
    axis.set_ylabel(y, fontsize=_TEXT, color=INK)


def title(figure: Figure, text: str) -> None:
    """Set the figure's title: what is shown, in words; it is broken into lines where it is wider than the figure."""
    lines = textwrap.wrap(text, max(20, int(_LETTERS * figure.get_figwidth())))
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=_TITLE, color=INK, fontweight="bold")


def legend(axis: Axes, columns: int = 3, **options: Any) -> None:
    """Add a frameless legend, if there is anything to tell apart."""
    handles, names = axis.get_legend_handles_labels()
    if len(handles) > 1:
        axis.legend(handles, names, frameon=False, fontsize=_SMALL, labelcolor=INK, ncols=columns, **options)


def score_colours() -> Colormap:
    """Return cividis (Nunez et al., 2018) without its darkest quarter, which would be lost on a dark page.

    So few steps that a colour bar stays vectors: a raster image is a resource, and pages of ours have none.
    """
    import matplotlib
    import numpy as np
    from matplotlib.colors import ListedColormap

    return ListedColormap(matplotlib.colormaps["cividis"](np.linspace(0.25, 1.0, 32)))


def colour_bar(figure: Figure, drawn: ScalarMappable, axes: Axes | Sequence[Axes], text: str = "") -> None:
    """Add what the colours of ``drawn`` stand for, beside ``axes``."""
    bar = figure.colorbar(drawn, ax=axes, fraction=0.05, pad=0.02, format="{x:g}")
    bar.ax.tick_params(labelsize=_SMALL, length=0, labelcolor=MUTED)
    if bar.solids is not None:
        bar.solids.set_edgecolor("face")  # no seams between the colours
    bar.outline.set_visible(False)
    bar.set_label(text, fontsize=_SMALL, color=INK)


def steps_axis(axis: Axes, most: int = 6) -> None:
    """Write environment steps as people do, 20 k, 1.5 M, at about ``most`` places."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(most))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(round(value), least=1000)))
    axis.set_xlim(left=0)


def message(text: str) -> Figure:
    """Return a figure that says why there is no other."""
    figure, (axis,) = new_figure(1.1)
    axis.set_axis_off()
    axis.text(0.0, 0.5, text, ha="left", va="center", fontsize=_TEXT, color=MUTED, transform=axis.transAxes, wrap=True)
    return figure


def score_limits(scores: Sequence[float]) -> tuple[float, float]:
    """Return limits that show the bulk of ``scores``: outliers far below (6 interquartile ranges) do not flatten the rest."""
    ordered = sorted(scores)
    if not ordered:
        return (0.0, 1.0)
    lower, upper = ordered[len(ordered) // 4], ordered[(3 * len(ordered)) // 4]
    low, high = ordered[0], ordered[-1]
    if low < lower - 6 * (high - lower) and upper > lower:
        low = lower - 2 * (high - lower)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return (low - margin, high + margin)


def below(axis: Axes, x: Sequence[float], limits: tuple[float, float], lowest: float, colour: str) -> None:
    """Mark points that lie below the limits by arrows at the lower edge, and say how low they go."""
    if x:
        height = limits[0] + 0.015 * (limits[1] - limits[0])
        axis.plot(x, [height] * len(x), "v", color=colour, markersize=5, clip_on=False, linestyle="none")
        note = f"{len(x)} below, down to {number(lowest)}"
        axis.text(0.99, 0.02, note, transform=axis.transAxes, ha="right", va="bottom", fontsize=_SMALL, color=MUTED)


def to_svg(figure: Figure, name: str) -> str:
    """Return the figure as an ``<svg>`` element to put into a page: text stays text, the same figure gives the same bytes.

    Ids begin with ``name``, so several can share a page. Colours follow the page's variables (`PAGE_COLOURS`), so that the figure
    also reads on a dark page. Nothing in it refers to another resource.
    """
    import matplotlib

    target = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "svg.id": None}):
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = target.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(?::\w+)?="[^"]*"', "", text)  # HTML knows what an svg element is
    text = re.sub(
        r'\b(width|height)="([\d.]+)pt"', "", text, count=2
    )  # the page decides; viewBox keeps the proportions
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = text.replace("url(#", f"url(#{name}-").replace('xlink:href="#', f'href="#{name}-')
    for colour, variable in PAGE_COLOURS.items():
        text = text.replace(f": {colour}", f": var(--{variable}, {colour})")
    return text


def to_png(figure: Figure, dpi: int = 150) -> bytes:
    """Return the figure as PNG on white, for a notebook or a slide."""
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return target.getvalue()
