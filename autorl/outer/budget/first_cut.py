"""Whether a rung tells trials apart at all. Where learning has not begun, a cut there would only throw dice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PILOT = 16
"""Trials that are looked at."""
ALIKE = 0.9
"""Share of equal scores from which on a rung tells nothing: a task whose reward nobody has found yet."""
STANDS_OUT = 0.5
"""How far the best score lies above the median, in units of how far the worst lies below it, if somebody has begun to learn."""


def tells(scores: Sequence[float | None]) -> bool:
    """Return whether ``scores`` of some trials at a rung say who learns: they differ, and one of them stands out above the bulk.

    Agents that have not begun to learn differ too, as their networks do, but the best of those is no further from the bulk than the
    worst are. A trial that failed before the rung, or was stopped there by an earlier study, has None. Where they are more than half, the
    rung tells who fails, and the others are too few to be judged: it is taken as it is.
    """
    known = np.array([score for score in scores if score is not None])
    if 2 * len(known) < len(scores):
        return True
    _, counts = np.unique(known, return_counts=True)
    if counts.max() >= ALIKE * len(known):
        return False
    middle = float(np.median(known))
    return bool(known.max() - middle > STANDS_OUT * (middle - known.min()))
