"""A gallery of levels: which a teacher had an agent learn from over the training, and which it holds in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from autorl.analysis.scores import count
from autorl.studies.trial import Json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from autorl.studies.specification import Specification

ROWS = 5
"""Parts of the training that are shown."""
COLUMNS = 6
_AGENT = {">": 0, "v": 270, "<": 180, "^": 90}
_ENDS = {
    "scored": ("highest scores of those held at the end", "score", "scores"),
    "replayed": ("most played of those held at the end", "episodes", "visits"),
}


def gallery_of(specification: Specification, lessons: Sequence[Json], environment: int) -> list[Json]:
    """Return the levels of the first training of a trial in an environment, as rows for `gallery_figure`; empty if there are none.

    Each row is ``{"title": text, "levels": [{"text": drawing, "caption": text}]}``.
    """
    found = next((one["levels"] for one in lessons if one["environment"] == environment and one.get("levels")), None)
    if found is None:
        return []
    from autorl.engine.lessons import CourseMaker
    from autorl.environments.registry import make_environment

    choice = specification.environments[environment]
    points: Any = CourseMaker.of(choice, make_environment(choice.id)).points
    return gallery_rows(found, points.text, choice.env_steps or specification.budget.env_steps)


def gallery_rows(found: Mapping[str, Any], text: Any, env_steps: int) -> list[Json]:
    """Return the rows of what the record keeps of a training's levels; ``text`` draws a point."""
    played = found["played"]
    step = max(1, len(played) // ROWS)
    rows = []
    for first in range(0, len(played), step):
        # one of each interval in turn, so that all of the part is seen
        part = [one for turn in range(COLUMNS) for own in played[first : first + step] for one in own[turn : turn + 1]]
        until = round(env_steps * min(first + step, len(played)) / len(played))
        shown = [_level(one, text, "return", "return") for one in part[:COLUMNS]]
        rows.append({"title": f"to step {count(until)}", "levels": shown})
    for name, (title, word, key) in _ENDS.items():
        if found[name]:
            rows.append({"title": title, "levels": [_level(one, text, word, key) for one in found[name][:COLUMNS]]})
    return rows


def _level(one: Mapping[str, Any], text: Any, word: str, key: str) -> Json:
    value = f"{one[key]:.2f}" if key != "visits" else count(round(one[key]))
    return {"text": text(one["point"]), "caption": f"{word} {value}"}


def gallery_figure(rows: Sequence[Json], name: str) -> Figure:
    """Return the rows of `gallery_of` as drawings: walls dark, the goal green, the agent a blue triangle that looks its way."""
    from autorl.analysis.style import INK, MUTED, new_figure, title

    figure, axes = new_figure(0.5 + 1.55 * len(rows), len(rows), COLUMNS)
    for r, row in enumerate(rows):
        for c in range(COLUMNS):
            axis = axes[r * COLUMNS + c]
            axis.set_axis_off()
            if c < len(row["levels"]):
                draw_level(axis, row["levels"][c]["text"])
                axis.text(
                    0.5, -0.04, row["levels"][c]["caption"], transform=axis.transAxes, ha="center", va="top",
                    fontsize=7, color=MUTED,
                )  # fmt: skip
        axes[r * COLUMNS].set_title(row["title"], loc="left", fontsize=8.5, color=INK)
        if not row["levels"]:
            axes[r * COLUMNS].text(0.0, 0.5, "no episode was learned from", fontsize=7, color=MUTED)
    title(figure, f"{name}: levels learned from, drawn at random over the training")
    return figure


def draw_level(axis: Axes, text: str) -> None:
    """Draw one level, given as lines of characters: ``#`` a wall, ``G`` the goal, ``>v<^`` the agent."""
    from matplotlib.patches import PathPatch, Rectangle, RegularPolygon
    from matplotlib.path import Path

    from autorl.analysis.style import BLUE, GREEN, INK

    cells = np.array([list(line) for line in text.split("\n")])
    height, width = cells.shape
    square = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5)])
    walls = [Path(square + place[::-1], closed=True) for place in np.argwhere(cells == "#")]
    if walls:
        # one path, not an image: a page holds vectors alone
        axis.add_patch(PathPatch(Path.make_compound_path(*walls), facecolor=INK, linewidth=0, antialiased=False))
    axis.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")
    axis.add_patch(Rectangle((-0.5, -0.5), width, height, fill=False, edgecolor=INK, linewidth=1.0, clip_on=False))
    for row, column in np.argwhere(cells == "G"):
        axis.add_patch(Rectangle((column - 0.4, row - 0.4), 0.8, 0.8, color=GREEN))
    for row, column in np.argwhere(np.isin(cells, list(_AGENT))):
        # a triangle points up where the angle is 0; rows grow downwards
        angle = np.deg2rad(_AGENT[cells[row, column]] - 90)
        axis.add_patch(RegularPolygon((column, row), 3, radius=0.5, orientation=-angle + np.pi, color=BLUE))
