"""The picture of a loss graph: registers on the left, the loss on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autorl.analysis.style import BLUE, GREY, INK, MUTED, VERMILION, new_figure, title
from autorl.objectives.graphs.drawing import Box, picture
from autorl.objectives.graphs.formula import formula_latex, mathtext
from autorl.objectives.graphs.graph import Graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMN, _ROW = 1.35, 0.62
_LONGEST = 110
"""Characters of LaTeX that still fit below the picture as one line."""
_EDGES = {"learned": BLUE, "register": GREY, "constant": "none", "operator": MUTED, "loss": VERMILION}


def graph_picture(graph: Graph, name: str) -> Figure:
    """Return the picture of ``graph``, its formula below where that is short. Blue: where slopes flow into the agent."""
    made = picture(graph)
    heights = [y for way in (*made.ways, tuple(made.places.values())) for _, y in way]
    columns = max(box.layer for box in made.boxes.values()) + 1
    rows = max(heights) - min(heights) + 1
    latex = formula_latex(graph)
    short = len(latex) <= _LONGEST
    width = max(4.0, _COLUMN * columns + 0.6)
    figure, (axis,) = new_figure(max(2.0, _ROW * rows + 0.7 + 0.5 * short), width=width)
    axis.set_axis_off()
    for (_, _, text), way in zip(made.edges, made.ways, strict=True):
        _edge(axis, way, text)
    for index, box in made.boxes.items():
        _box(axis, box, made.places[index])
    axis.set_xlim(-0.6, columns - 0.4)
    axis.set_ylim(max(heights) + 0.6, min(heights) - 0.6)
    title(figure, name)
    if short:
        axis.text(
            0.0, -0.02, f"${mathtext(latex)}$", transform=axis.transAxes, fontsize=10, color=INK, ha="left", va="top"
        )
    return figure


def _box(axis: Axes, box: Box, place: tuple[float, float]) -> None:
    style = "square,pad=0.35" if box.kind in ("learned", "register") else "round,pad=0.35"
    frame = {"boxstyle": style, "facecolor": "#ffffff", "edgecolor": _EDGES[box.kind], "linewidth": 1.4}
    weight = "bold" if box.kind == "loss" else "normal"
    axis.text(
        *place, box.label, ha="center", va="center", fontsize=9, color=INK, fontweight=weight, bbox=frame, zorder=3
    )


def _edge(axis: Axes, way: Sequence[tuple[float, float]], text: str) -> None:
    """Draw an edge through its points, an arrow at its end."""
    if len(way) > 2:
        axis.plot([x for x, _ in way[:-1]], [y for _, y in way[:-1]], color=GREY, linewidth=1.1, zorder=1)
    (x, y), (u, v) = way[-2], way[-1]
    arrow = {"arrowstyle": "-|>", "color": GREY, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 14}
    axis.annotate("", xy=(u, v), xytext=(x, y), arrowprops=arrow, zorder=1)
    if text:
        axis.text(
            u - 0.3 * (u - x), v - 0.3 * (v - y) - 0.12, text, fontsize=7.5, color=MUTED, ha="center", va="center"
        )
