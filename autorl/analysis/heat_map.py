"""Heat maps that stay small as vectors: one path a colour, and neighbours of one colour in one piece."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

Array = NDArray[np.float64]


def heat_map(
    axis: Axes, x: ArrayLike, y: ArrayLike, values: Array, limits: tuple[float, float] | None = None
) -> ScalarMappable:
    """Draw cells in the house's colours, and return what a colour bar is made from.

    A mesh of matplotlib's writes each cell with a style of its own, which makes pages of it five times as large.

    Args:
        axis: Where. The scales of its axes may be set before or after.
        x: Borders of the columns, [X + 1], rising.
        y: Borders of the rows, [Y + 1], rising.
        values: [Y, X]; NaN leaves a cell empty.
        limits: Values of the first and of the last colour; by default the least and the greatest of ``values``.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    from autorl.analysis.style import score_colours

    across, up = np.asarray(x, np.float64), np.asarray(y, np.float64)
    colours, known = score_colours(), values[np.isfinite(values)]
    if limits is None:
        limits = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    low, high = limits if limits[0] < limits[1] else (limits[0] - 0.5, limits[0] + 0.5)
    scaled = np.clip((np.nan_to_num(values, nan=low) - low) / (high - low), 0.0, 1.0)
    which = np.where(np.isfinite(values), np.minimum((scaled * colours.N).astype(int), colours.N - 1), -1)
    runs = _runs(which)
    for colour in np.unique(which[which >= 0]):
        boxes = [
            [(across[a], up[row]), (across[b], up[row]), (across[b], up[row + 1]), (across[a], up[row + 1])]
            for row, a, b, own in runs
            if own == colour
        ]
        path = Path.make_compound_path(*(Path([*box, box[0]], closed=True) for box in boxes))
        # a thin line closes the seams that browsers leave between colours
        axis.add_patch(PathPatch(path, color=colours(int(colour)), linewidth=0.4, antialiased=False))
    axis.set(xlim=(across[0], across[-1]), ylim=(up[0], up[-1]))
    return ScalarMappable(Normalize(low, high), colours)


def _runs(which: NDArray[np.int_]) -> list[tuple[int, int, int, int]]:
    """Return (row, first, past the last, colour) of the runs of one colour along the rows of ``which`` [Y, X]."""
    found = []
    for row, line in enumerate(which):
        ends = [0, *(np.flatnonzero(np.diff(line)) + 1), len(line)]
        found += [(row, int(a), int(b), int(line[a])) for a, b in pairwise(ends)]
    return found
