"""The distributions over grid worlds: the ten of LPG (Oh et al., 2020) and those that GROOVE (Jackson et al., 2023) learns and tests on.

Numbers are those of GROOVE's source (commit 0c091c03), which follows the appendix of LPG's paper; its one change to LPG's worlds is kept
(``longer`` has 5 objects, not 7). In ``tabular`` worlds objects stay where the task puts them, and the observation tells apart
every combination of place and objects present; in the others objects come back anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np


@dataclass(frozen=True)
class GridDistribution:
    """What grid worlds of one kind have in common, and what is drawn.

    Attributes:
        board: Side of the largest world, M; arrays have this size.
        kinds: Kind of each of K objects, 0 to T - 1.
        tabular: See above.
        limit: The greatest number of steps.
        rewards: Of each kind; empty if drawn: the first uniform in [0, 1], the others in [-1, 1].
        terminate: Chance that collecting it ends the episode, of each kind; empty if drawn: log-uniform in [.01, 1].
        respawn: Chance to come back at each step, of each kind; empty if drawn: log-uniform in [.001, .1].
        walls: Cells (row, column) that are walls, or how many are drawn (some beyond the edge of a small world).
        sizes: Least and greatest side, all equally likely.
        objects: Least and greatest number of objects, all equally likely.
        steps: Least and greatest number of steps of an episode, log-uniform.
    """

    board: int
    kinds: tuple[int, ...]
    tabular: bool
    limit: int
    rewards: tuple[float, ...] = ()
    terminate: tuple[float, ...] = ()
    respawn: tuple[float, ...] = ()
    walls: tuple[tuple[int, int], ...] | int = ()
    sizes: tuple[int, int] = (0, 0)
    objects: tuple[int, int] = (0, 0)
    steps: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        for name, fixed in {"sizes": self.board, "objects": len(self.kinds), "steps": self.limit}.items():
            if getattr(self, name) == (0, 0):
                object.__setattr__(self, name, (fixed, fixed))

    @property
    def kind_count(self) -> int:
        """Number of kinds, T."""
        return max(self.kinds) + 1

    @property
    def wall_mask(self) -> np.ndarray:
        """The walls that are not drawn, bool [M, M]."""
        mask = np.zeros((self.board, self.board), np.bool_)
        for row, column in self.walls if isinstance(self.walls, tuple) else ():
            mask[row, column] = True
        return mask


def _drawn(
    board: int, objects: tuple[int, int], walls: int, sizes: tuple[int, int], steps: tuple[int, int]
) -> GridDistribution:
    """One of GROOVE's distributions: everything is drawn, each object is of its own kind."""
    kinds = tuple(range(objects[1]))
    return GridDistribution(board, kinds, True, steps[1], walls=walls, sizes=sizes, objects=objects, steps=steps)


_Chances = tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]
_Walls = tuple[tuple[int, int], ...]


def _lpg(
    tabular: bool, board: int, kinds: tuple[int, ...], limit: int, chances: _Chances, walls: _Walls = ()
) -> GridDistribution:
    """One of LPG's worlds, where only places are drawn; ``chances`` are rewards, terminate and respawn."""
    return GridDistribution(board, kinds, tabular, limit, *chances, walls)


_ONE_WALL = tuple((row, 4) for row in range(9) if row not in (1, 7))
"""Down the middle, with two openings."""
_CROSS = tuple(
    {(row, 5) for row in range(11) if row not in (0, 7)} | {(4, column) for column in range(11) if column not in (2, 8)}
)
"""One wall down and one across, with two openings each."""

DISTRIBUTIONS: Mapping[str, GridDistribution] = MappingProxyType(
    {
        "dense": _lpg(True, 11, (0, 0, 1, 2), 500, ((1.0, -1.0, -1.0), (0.0, 0.5, 0.0), (0.05, 0.1, 0.5))),
        "sparse": _lpg(True, 13, (0, 1), 50, ((1.0, -1.0), (1.0, 1.0), (0.0, 0.0))),
        "long": _lpg(True, 11, (0, 0, 1, 1), 1000, ((1.0, -1.0), (0.0, 0.5), (0.01, 1.0))),
        "longer": _lpg(True, 9, (0, 0, 1, 1, 1), 2000, ((1.0, -1.0), (0.1, 0.8), (0.01, 1.0)), _ONE_WALL),
        "long_dense": _lpg(True, 11, (0, 0, 0, 0), 2000, ((1.0,), (0.0,), (0.005,)), _CROSS),
        "rand_dense": _lpg(False, 11, (0, 0, 1, 2), 500, ((1.0, -1.0, -1.0), (0.0, 0.5, 0.0), (0.05, 0.1, 0.5))),
        "rand_long": _lpg(False, 11, (0, 0, 1, 1), 1000, ((1.0, -1.0), (0.0, 0.5), (0.01, 1.0))),
        "rand_small": _lpg(False, 7, (0, 0, 1, 1), 500, ((1.0, -1.0), (0.0, 0.5), (0.05, 0.1)), ((1, 2), (3, 4))),
        "rand_sparse": _lpg(False, 7, (0, 1, 1), 50, ((1.0, -1.0), (1.0, 1.0), (1.0, 1.0))),
        "rand_very_dense": _lpg(False, 11, (0,), 2000, ((1.0,), (0.0,), (1.0,))),
        "small": _drawn(6, (1, 3), 7, (4, 6), (20, 100)),
        "medium": _drawn(8, (2, 4), 10, (6, 8), (100, 250)),
        "large": _drawn(10, (2, 5), 15, (8, 10), (250, 750)),
        "all": _drawn(10, (1, 5), 15, (4, 10), (20, 750)),
    }
)
"""Name -> distribution."""
