"""The picture of a loss graph: registers on the left, the loss on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autorl.analysis.style import BLUE, GREY, INK, MUTED, VERMILION, new_figure, title
from autorl.objectives.graphs.drawing import Box, picture
from autorl.objectives.graphs.formula import formula_latex, mathtext
from autorl.objectives.graphs.graph import Graph

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMN, _ROW = 1.35, 0.62
_LONGEST = 110
"""Characters of LaTeX that still fit below the picture as one line."""
_EDGES = {"learned": BLUE, "register": GREY, "constant": "none", "operator": MUTED, "loss": VERMILION}


def graph_picture(graph: Graph, name: str) -> Figure:
    """Return the picture of ``graph``, its formula below where that is short. Blue: where slopes flow into the agent."""
    made = picture(graph)
    heights = [y for _, y in made.places.values()]
    columns = max(box.layer for box in made.boxes.values()) + 1
    rows = max(heights) - min(heights) + 1
    latex = formula_latex(graph)
    short = len(latex) <= _LONGEST
    width = max(4.0, _COLUMN * columns + 0.6)
    figure, (axis,) = new_figure(max(2.0, _ROW * rows + 0.7 + 0.5 * short), width=width)
    axis.set_axis_off()
    for source, target, text in made.edges:
        _edge(axis, made.places[source], made.places[target], text)
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


def _edge(axis: Axes, start: tuple[float, float], end: tuple[float, float], text: str) -> None:
    straight = end[0] - start[0] <= 1.0 or start[1] != end[1]
    arrow = {
        "arrowstyle": "-|>",
        "color": GREY,
        "linewidth": 1.1,
        "shrinkA": 14,
        "shrinkB": 14,
        # an edge past another column bends, or it would run through what stands there
        "connectionstyle": f"arc3,rad={0.0 if straight else 0.25}",
    }
    axis.annotate("", xy=end, xytext=start, arrowprops=arrow, zorder=1)
    if text:
        x, y = end[0] - 0.32 * (end[0] - start[0]), end[1] - 0.32 * (end[1] - start[1])
        axis.text(x, y - 0.12, text, fontsize=7.5, color=MUTED, ha="center", va="center", zorder=2)
