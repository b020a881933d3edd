"""A MiniGrid board as numbers, to compare how boards are distributed: counts, places, colours, and how they go together."""

from __future__ import annotations

import numpy as np

KINDS = (1, 2, 4, 5, 6, 7, 8, 9)  # empty, wall, door, key, ball, box, goal, lava
COLOURED = (4, 5, 6, 7)


def features(grid: np.ndarray, place: tuple[int, int], direction: int) -> list[float]:
    """Describe a board (uint8 [H, W, 3], without the agent) and its agent by 106 numbers."""
    kind, colour, state = (grid[..., channel].astype(int) for channel in range(3))
    row, column = place
    found = [float((kind == k).sum()) for k in KINDS]
    found += [float(((kind == 4) & (state == s)).sum()) for s in range(3)]
    found += [row, column, row * column, *(float(direction == d) for d in range(4))]
    for k in KINDS:
        cells = np.argwhere(kind == k).astype(float)
        if len(cells) == 0:
            found += [0.0] * 7
            continue
        away = np.abs(cells - np.array(place)).sum(axis=1)
        found += [*cells.mean(axis=0), (cells[:, 0] * cells[:, 1]).mean(), *cells.var(axis=0), away.mean(), away.min()]
    for k in COLOURED:
        found += [float(((kind == k) & (colour == c)).sum()) for c in range(6)]
    front = kind[row + (0, 1, 0, -1)[direction], column + (1, 0, -1, 0)[direction]]
    return found + [float(front == k) for k in KINDS]
