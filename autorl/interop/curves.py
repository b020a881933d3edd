"""One learning curve of a trial, for tools that have room for one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from autorl.studies.trial import Curve


def mean_curve(curves: Sequence[Curve]) -> dict[int, float]:
    """Return the mean over environments and seeds at each evaluation where every one of them has a finite value; by env steps."""
    if not curves:
        return {}
    found: dict[int, float] = {}
    for index, step in enumerate(curves[0].env_steps):
        points = [c.scores[index] if index < len(c.scores) else None for c in curves]
        finite = [p for p in points if p is not None and math.isfinite(p)]
        if len(finite) == len(points):
            found[int(step)] = sum(finite) / len(finite)
    return found
